/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mode and owner, and watches: made natively, on a stand-in, so that the kernel judges. */
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload/export.h"
#include "preload/real.h"
#include "preload/way.h"

static long chmod_natively(const struct errand *errand, int dirfd, const char *path, bool nofollow)
{
	const mode_t *mode = errand->details;

	return way_result(
		REAL(fchmodat)(dirfd, path, *mode, nofollow ? AT_SYMLINK_NOFOLLOW : 0));
}

static long chmod_served(const struct errand *errand, struct way *way)
{
	struct wire_stat told;
	long result = way_find(way, errand->nofollow, &told);

	if (result < 0)
		return result;
	return S_ISLNK(told.mode) ? -EOPNOTSUPP : way_natively(way, errand);
}

static int emu_chmod(int dirfd, const char *path, mode_t mode, int flags)
{
	if (flags & ~AT_SYMLINK_NOFOLLOW)
		return -EINVAL;
	return (int)way_go(dirfd, path, &(struct errand){
		.natively = chmod_natively,
		.served = chmod_served,
		.nofollow = flags & AT_SYMLINK_NOFOLLOW,
		.details = &mode,
	});
}

EXPORT int chmod(const char *pathname, mode_t mode)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(chmod)(pathname, mode);
	return export_named("chmod", pathname, emu_chmod(AT_FDCWD, pathname, mode, 0));
}

EXPORT int lchmod(const char *pathname, mode_t mode)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(lchmod)(pathname, mode);
	return export_named("lchmod", pathname,
	                    emu_chmod(AT_FDCWD, pathname, mode, AT_SYMLINK_NOFOLLOW));
}

EXPORT int fchmodat(int dirfd, const char *pathname, mode_t mode, int flags)
{
	if (way_is_foreign(dirfd, pathname))
		return REAL(fchmodat)(dirfd, pathname, mode, flags);
	return export_named("fchmodat", pathname, emu_chmod(dirfd, pathname, mode, flags));
}

struct owning {
	uid_t owner;
	gid_t group;
};

static long chown_natively(const struct errand *errand, int dirfd, const char *path, bool nofollow)
{
	const struct owning *owning = errand->details;

	return way_result(REAL(fchownat)(dirfd, path, owning->owner, owning->group,
	                                         nofollow ? AT_SYMLINK_NOFOLLOW : 0));
}

static int emu_chown(int dirfd, const char *path, uid_t owner, gid_t group, int flags)
{
	struct owning owning = {owner, group};

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return (int)way_go(dirfd, path, &(struct errand){
		.natively = chown_natively,
		.nofollow = flags & AT_SYMLINK_NOFOLLOW,
		.details = &owning,
	});
}

EXPORT int chown(const char *pathname, uid_t owner, gid_t group)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(chown)(pathname, owner, group);
	return export_named("chown", pathname, emu_chown(AT_FDCWD, pathname, owner, group, 0));
}

EXPORT int lchown(const char *pathname, uid_t owner, gid_t group)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(lchown)(pathname, owner, group);
	return export_named("lchown", pathname,
	                    emu_chown(AT_FDCWD, pathname, owner, group, AT_SYMLINK_NOFOLLOW));
}

EXPORT int fchownat(int dirfd, const char *pathname, uid_t owner, gid_t group, int flags)
{
	if (way_is_foreign(dirfd, pathname))
		return REAL(fchownat)(dirfd, pathname, owner, group, flags);
	return export_named("fchownat", pathname, emu_chown(dirfd, pathname, owner, group, flags));
}

struct watching {
	int fd;
	uint32_t mask;
};

static long watch_natively(const struct errand *errand, int dirfd, const char *path, bool nofollow)
{
	const struct watching *watching = errand->details;
	uint32_t mask = watching->mask & ~(nofollow ? 0U : (uint32_t)IN_DONT_FOLLOW);

	return way_result(REAL(inotify_add_watch)(watching->fd, path, mask));
}

static int emu_watch(int fd, const char *path, uint32_t mask)
{
	struct watching watching = {fd, mask};

	return (int)way_go(AT_FDCWD, path, &(struct errand){
		.natively = watch_natively,
		.nofollow = mask & IN_DONT_FOLLOW,
		.details = &watching,
	});
}

EXPORT int inotify_add_watch(int fd, const char *pathname, uint32_t mask)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(inotify_add_watch)(fd, pathname, mask);
	return export_named("inotify_add_watch", pathname, emu_watch(fd, pathname, mask));
}
