/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What there is to know of a path: stat in all its forms, access, statfs, pathconf. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/name.h"
#include "base/own.h"
#include "preload/ask.h"
#include "preload/export.h"
#include "preload/known.h"
#include "preload/paths.h"
#include "preload/real.h"
#include "preload/way.h"

struct looking {
	int flags; /* AT_... */
	union {
		struct stat *status;
		struct statx *statusx;
	};
	unsigned mask;
};

static void as_stat(const struct wire_stat *told, struct stat *ret_status)
{
	*ret_status = (struct stat){
		.st_dev = told->dev,
		.st_ino = told->ino,
		.st_mode = told->mode,
		.st_nlink = told->nlink,
		.st_uid = told->uid,
		.st_gid = told->gid,
		.st_rdev = told->rdev,
		.st_size = (off_t)told->size,
		.st_blksize = (blksize_t)told->blksize,
		.st_blocks = (blkcnt_t)told->blocks,
		.st_atim = {told->atime, told->atime_ns},
		.st_mtim = {told->mtime, told->mtime_ns},
		.st_ctim = {told->ctime, told->ctime_ns},
	};
}

static long stat_natively(const struct errand *errand, int dirfd, const char *path, bool nofollow)
{
	const struct looking *looking = errand->details;

	return way_result(REAL(fstatat)(dirfd, path, looking->status, looking->flags));
}

static long stat_served(const struct errand *errand, struct way *way)
{
	const struct looking *looking = errand->details;
	struct wire_request request = wire_request_make(WIRE_LOOKUP);
	struct known_name sought = way_known_name(way);
	struct client_answer answer;
	long result;

	request.flags = errand->nofollow ? 0 : WIRE_FOLLOW;
	result = way_ask(way, &request, &answer);
	if (result < 0)
		return result;
	as_stat(&answer.told.stat, looking->status);
	known_learn(&sought, answer.reply.roads.number, answer.told.stat.dev,
	            answer.told.stat.ino);
	return result;
}

static int emu_stat(int dirfd, const char *path, struct stat *ret_status, int flags)
{
	struct looking looking = {.flags = flags, .status = ret_status};
	struct known_name sought = way_known_path(path);

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH))
		return -EINVAL;
	if (known_stat(&sought, ret_status) == 0)
		return 0;
	return (int)way_go(dirfd, path, &(struct errand){
		.natively = stat_natively,
		.served = stat_served,
		.nofollow = flags & AT_SYMLINK_NOFOLLOW,
		.details = &looking,
	});
}

int path_stat(int dirfd, const char *path, struct stat *ret_status, int at_flags)
{
	int before = errno;
	long result;

	if (!way_is_foreign(dirfd, path))
		return emu_stat(dirfd, path, ret_status, at_flags);
	result = way_result(REAL(fstatat)(dirfd, path, ret_status, at_flags));
	errno = before;
	return (int)result;
}

EXPORT int stat(const char *pathname, struct stat *statbuf)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(stat)(pathname, statbuf);
	return export_named("stat", pathname, emu_stat(AT_FDCWD, pathname, statbuf, 0));
}

EXPORT int lstat(const char *pathname, struct stat *statbuf)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(lstat)(pathname, statbuf);
	return export_named("lstat", pathname,
	                    emu_stat(AT_FDCWD, pathname, statbuf, AT_SYMLINK_NOFOLLOW));
}

EXPORT int fstatat(int dirfd, const char *pathname, struct stat *statbuf, int flags)
{
	if (way_is_foreign(dirfd, pathname))
		return REAL(fstatat)(dirfd, pathname, statbuf, flags);
	return export_named("fstatat", pathname, emu_stat(dirfd, pathname, statbuf, flags));
}

/* What programs call that were built with glibc before 2.33. `version` has one meaning here. */
int __xstat(int version, const char *pathname, struct stat *statbuf)
	WIDE_SYMBOL(__xstat, __xstat64);
int __lxstat(int version, const char *pathname, struct stat *statbuf)
	WIDE_SYMBOL(__lxstat, __lxstat64);
int __fxstatat(int version, int dirfd, const char *pathname, struct stat *statbuf, int flags)
	WIDE_SYMBOL(__fxstatat, __fxstatat64);

EXPORT int __xstat(int version, const char *pathname, struct stat *statbuf)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(__xstat)(version, pathname, statbuf);
	return export_named("__xstat", pathname, emu_stat(AT_FDCWD, pathname, statbuf, 0));
}

EXPORT int __lxstat(int version, const char *pathname, struct stat *statbuf)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(__lxstat)(version, pathname, statbuf);
	return export_named("__lxstat", pathname,
	                    emu_stat(AT_FDCWD, pathname, statbuf, AT_SYMLINK_NOFOLLOW));
}

EXPORT int __fxstatat(int version, int dirfd, const char *pathname, struct stat *statbuf, int flags)
{
	if (way_is_foreign(dirfd, pathname))
		return REAL(__fxstatat)(version, dirfd, pathname, statbuf, flags);
	return export_named("__fxstatat", pathname, emu_stat(dirfd, pathname, statbuf, flags));
}

/* One layout. */
_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "stat64 is stat");
int __xstat64(int version, const char *pathname, struct stat64 *statbuf);
int __lxstat64(int version, const char *pathname, struct stat64 *statbuf);
int __fxstatat64(int version, int dirfd, const char *pathname, struct stat64 *statbuf, int flags);
EXPORT_WIDE(stat64, stat);
EXPORT_WIDE(lstat64, lstat);
EXPORT_WIDE(fstatat64, fstatat);
EXPORT_WIDE(__xstat64, __xstat);
EXPORT_WIDE(__lxstat64, __lxstat);
EXPORT_WIDE(__fxstatat64, __fxstatat);

static long statx_natively(const struct errand *errand, int dirfd, const char *path, bool nofollow)
{
	const struct looking *looking = errand->details;
	int flags = looking->flags & ~(nofollow ? 0 : AT_SYMLINK_NOFOLLOW);

	return way_result(
		REAL(statx)(dirfd, path, flags, looking->mask, looking->statusx));
}

static struct statx_timestamp as_timestamp(int64_t seconds, uint32_t nanoseconds)
{
	return (struct statx_timestamp){.tv_sec = seconds, .tv_nsec = nanoseconds};
}

/* Over what the kernel says of the stand-in, which knows more: the time of birth, the mount. */
static void as_statx(const struct wire_stat *told, struct statx *status)
{
	status->stx_mask |= STATX_BASIC_STATS;
	status->stx_blksize = (uint32_t)told->blksize;
	status->stx_nlink = (uint32_t)told->nlink;
	status->stx_uid = told->uid;
	status->stx_gid = told->gid;
	status->stx_mode = (uint16_t)told->mode;
	status->stx_ino = told->ino;
	status->stx_size = told->size;
	status->stx_blocks = told->blocks;
	status->stx_atime = as_timestamp(told->atime, told->atime_ns);
	status->stx_mtime = as_timestamp(told->mtime, told->mtime_ns);
	status->stx_ctime = as_timestamp(told->ctime, told->ctime_ns);
	status->stx_rdev_major = major(told->rdev);
	status->stx_rdev_minor = minor(told->rdev);
	status->stx_dev_major = major(told->dev);
	status->stx_dev_minor = minor(told->dev);
}

static long statx_served(const struct errand *errand, struct way *way)
{
	const struct looking *looking = errand->details;
	struct wire_stat told;
	long result = way_find(way, errand->nofollow, &told);

	if (result < 0)
		return result;
	result = way_natively(way, errand);
	if (result == 0)
		as_statx(&told, looking->statusx);
	return result;
}

static long emu_statx(int dirfd, const char *path, int flags, unsigned mask,
                      struct statx *ret_status)
{
	struct looking looking = {.flags = flags, .mask = mask, .statusx = ret_status};

	return way_go(dirfd, path, &(struct errand){
		.natively = statx_natively,
		.served = statx_served,
		.nofollow = flags & AT_SYMLINK_NOFOLLOW,
		.details = &looking,
	});
}

EXPORT int statx(int dirfd, const char *pathname, int flags, unsigned mask, struct statx *statxbuf)
{
	if (way_is_foreign(dirfd, pathname))
		return REAL(statx)(dirfd, pathname, flags, mask, statxbuf);
	return export_named("statx", pathname, emu_statx(dirfd, pathname, flags, mask, statxbuf));
}

struct accessing {
	int mode;
	int flags;
};

static long access_natively(const struct errand *errand, int dirfd, const char *path, bool nofollow)
{
	const struct accessing *accessing = errand->details;
	int flags = accessing->flags & ~(nofollow ? 0 : AT_SYMLINK_NOFOLLOW);

	return way_result(REAL(faccessat)(dirfd, path, accessing->mode, flags));
}

static long access_served(const struct errand *errand, struct way *way)
{
	struct wire_stat told;
	long result = way_find(way, errand->nofollow, &told);

	/* A link itself lets everybody do everything. */
	return result < 0 || S_ISLNK(told.mode) ? result : way_natively(way, errand);
}

static int emu_access(int dirfd, const char *path, int mode, int flags)
{
	struct accessing accessing = {mode, flags};

	if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EACCESS | AT_EMPTY_PATH)) ||
	    (mode & ~(R_OK | W_OK | X_OK)))
		return -EINVAL;
	return (int)way_go(dirfd, path, &(struct errand){
		.natively = access_natively,
		.served = access_served,
		.nofollow = flags & AT_SYMLINK_NOFOLLOW,
		.details = &accessing,
	});
}

int path_access(int dirfd, const char *path, int mode, int at_flags)
{
	int before = errno;
	long result;

	if (!way_is_foreign(dirfd, path))
		return emu_access(dirfd, path, mode, at_flags);
	result = way_result(REAL(faccessat)(dirfd, path, mode, at_flags));
	errno = before;
	return (int)result;
}

EXPORT int access(const char *pathname, int mode)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(access)(pathname, mode);
	return export_named("access", pathname, emu_access(AT_FDCWD, pathname, mode, 0));
}

EXPORT int faccessat(int dirfd, const char *pathname, int mode, int flags)
{
	if (way_is_foreign(dirfd, pathname))
		return REAL(faccessat)(dirfd, pathname, mode, flags);
	return export_named("faccessat", pathname, emu_access(dirfd, pathname, mode, flags));
}

EXPORT int eaccess(const char *pathname, int mode)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(eaccess)(pathname, mode);
	return export_named("eaccess", pathname,
	                    emu_access(AT_FDCWD, pathname, mode, AT_EACCESS));
}

EXPORT_SAME(euidaccess, eaccess);

static long statfs_natively(const struct errand *errand, int dirfd, const char *path, bool nofollow)
{
	return way_result(REAL(statfs)(path, errand->details));
}

enum { VALID = 0x20 }; /* the kernel's ST_VALID: there are flags */

/* What the kernel says of a tmpfs on /dev/shm, with the store's room. */
static long statfs_served(const struct errand *errand, struct way *way)
{
	enum { BLOCK_SIZE = 4096, TMPFS = 0x01021994 };
	struct statfs *status = errand->details;
	struct wire_request lookup = wire_request_make(WIRE_LOOKUP);
	struct wire_request room = wire_request_make(WIRE_ROOM);
	const struct wire_room *told;
	struct client_answer answer;
	long result;

	lookup.flags = WIRE_FOLLOW;
	result = way_ask(way, &lookup, &answer);
	if (result == 0)
		result = ask(&room, &answer);
	if (result < 0)
		return result;
	told = &answer.reply.room;
	memset(status, 0, sizeof *status);
	status->f_type = TMPFS;
	status->f_bsize = status->f_frsize = BLOCK_SIZE;
	status->f_blocks = told->total / BLOCK_SIZE;
	status->f_bfree = status->f_bavail = told->available / BLOCK_SIZE;
	status->f_ffree = status->f_bfree;
	if (told->inodes_max)
		status->f_ffree = told->inodes_max > told->inodes ? told->inodes_max - told->inodes
		                                                  : 0;
	status->f_files = told->inodes_max ? told->inodes_max : told->inodes + status->f_ffree;
	status->f_flags = ST_NOSUID | ST_NODEV | ST_RELATIME | VALID;
	status->f_namelen = NAME_LENGTH_MAX;
	return 0;
}

static int emu_statfs(const char *path, struct statfs *ret_status)
{
	return (int)way_go(AT_FDCWD, path, &(struct errand){
		.natively = statfs_natively, .served = statfs_served, .details = ret_status,
	});
}

static int emu_statvfs(const char *path, struct statvfs *ret_status)
{
	struct statfs status;
	int result = emu_statfs(path, &status);

	if (result < 0)
		return result;
	memset(ret_status, 0, sizeof *ret_status);
	ret_status->f_bsize = (unsigned long)status.f_bsize;
	ret_status->f_frsize = (unsigned long)status.f_frsize;
	ret_status->f_blocks = status.f_blocks;
	ret_status->f_bfree = status.f_bfree;
	ret_status->f_bavail = status.f_bavail;
	ret_status->f_files = status.f_files;
	ret_status->f_ffree = ret_status->f_favail = status.f_ffree;
	memcpy(&ret_status->f_fsid, &status.f_fsid, sizeof ret_status->f_fsid);
	ret_status->f_flag = (unsigned long)status.f_flags & ~(unsigned long)VALID;
	ret_status->f_namemax = (unsigned long)status.f_namelen;
	return 0;
}

EXPORT int statfs(const char *path, struct statfs *buf)
{
	if (way_is_foreign(AT_FDCWD, path))
		return REAL(statfs)(path, buf);
	return export_named("statfs", path, emu_statfs(path, buf));
}

EXPORT int statvfs(const char *path, struct statvfs *buf)
{
	if (way_is_foreign(AT_FDCWD, path))
		return REAL(statvfs)(path, buf);
	return export_named("statvfs", path, emu_statvfs(path, buf));
}

_Static_assert(sizeof(struct statfs) == sizeof(struct statfs64), "statfs64 is statfs");
_Static_assert(sizeof(struct statvfs) == sizeof(struct statvfs64), "statvfs64 is statvfs");
EXPORT_WIDE(statfs64, statfs);
EXPORT_WIDE(statvfs64, statvfs);

struct asking {
	int name;
	long value;
};

static long pathconf_natively(const struct errand *errand, int dirfd, const char *path,
                              bool nofollow)
{
	struct asking *asking = errand->details;

	/* -1 without an error: there is no limit. */
	errno = 0;
	asking->value = REAL(pathconf)(path, asking->name);
	/* A 32-bit libc asks by a statfs(2) in which our memory's size has no room. What it says of
	 * a tmpfs is what it says of all that it does not know. */
	if (asking->value < 0 && errno == EOVERFLOW)
		asking->value = REAL(pathconf)("/proc", asking->name);
	return asking->value < 0 && errno ? -errno : 0;
}

static int emu_pathconf(const char *path, int name, long *ret_value)
{
	struct asking asking = {.name = name};
	int before = errno;
	long result;

	errno = 0;
	if (REAL(pathconf)("/", name) < 0 && errno == EINVAL)
		return -EINVAL;
	errno = before;
	result = way_go(AT_FDCWD, path, &(struct errand){
		.natively = pathconf_natively, .details = &asking,
	});
	*ret_value = asking.value;
	return (int)result;
}

EXPORT long pathconf(const char *path, int name)
{
	long value;

	if (way_is_foreign(AT_FDCWD, path))
		return REAL(pathconf)(path, name);
	return export_named("pathconf", path, emu_pathconf(path, name, &value)) < 0 ? -1 : value;
}
