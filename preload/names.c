/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names that are made, read and removed. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "preload/emu.h"
#include "preload/export.h"
#include "preload/paths.h"
#include "preload/real.h"
#include "preload/umask.h"
#include "preload/way.h"

static long unlink_natively(const struct errand *errand, int dirfd, const char *path, bool nofollow)
{
	const int *flags = errand->details;

	return way_result(REAL(unlinkat)(dirfd, path, *flags));
}

static long unlink_served(const struct errand *errand, struct way *way)
{
	const int *flags = errand->details;
	struct wire_request request;
	struct client_answer answer;
	struct name name;

	/* The shorter request. */
	if (!(*flags & AT_REMOVEDIR) && way_root_name(way, &name))
		return emu_unlink(&name);
	request = wire_request_make(WIRE_REMOVE);
	request.flags = *flags & AT_REMOVEDIR ? WIRE_FOLDER : 0;
	return way_ask(way, &request, &answer);
}

static int emu_unlink_path(int dirfd, const char *path, int flags)
{
	if (flags & ~AT_REMOVEDIR)
		return -EINVAL;
	return (int)way_go(dirfd, path, &(struct errand){
		.natively = unlink_natively,
		.served = unlink_served,
		.nofollow = true,
		.details = &flags,
	});
}

static int emu_remove(const char *path)
{
	int result = emu_unlink_path(AT_FDCWD, path, 0);

	return result == -EISDIR ? emu_unlink_path(AT_FDCWD, path, AT_REMOVEDIR) : result;
}

int path_unlink(int dirfd, const char *path, int at_flags)
{
	int before = errno;
	long result;

	if (!way_is_foreign(dirfd, path))
		return emu_unlink_path(dirfd, path, at_flags);
	result = way_result(REAL(unlinkat)(dirfd, path, at_flags));
	errno = before;
	return (int)result;
}

EXPORT int unlink(const char *pathname)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(unlink)(pathname);
	return export_named("unlink", pathname, emu_unlink_path(AT_FDCWD, pathname, 0));
}

EXPORT int unlinkat(int dirfd, const char *pathname, int flags)
{
	if (way_is_foreign(dirfd, pathname))
		return REAL(unlinkat)(dirfd, pathname, flags);
	return export_named("unlinkat", pathname, emu_unlink_path(dirfd, pathname, flags));
}

EXPORT int rmdir(const char *pathname)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(rmdir)(pathname);
	return export_named("rmdir", pathname, emu_unlink_path(AT_FDCWD, pathname, AT_REMOVEDIR));
}

EXPORT int remove(const char *pathname)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(remove)(pathname);
	return export_named("remove", pathname, emu_remove(pathname));
}

/* What is to be made: a folder, or what mknod(2) makes. */
struct making {
	mode_t mode; /* with its type */
	dev_t device;
};

static long make_natively(const struct errand *errand, int dirfd, const char *path, bool nofollow)
{
	const struct making *making = errand->details;

	if (S_ISDIR(making->mode))
		return way_result(REAL(mkdirat)(dirfd, path, making->mode & ALLPERMS));
	return way_result(REAL(mknodat)(dirfd, path, making->mode, making->device));
}

static long make_served(const struct errand *errand, struct way *way)
{
	const struct making *making = errand->details;
	struct wire_request request = wire_request_make(WIRE_MAKE);
	struct client_answer answer;

	request.mode = making->mode & ~umask_read();
	way->device = making->device;
	return way_ask(way, &request, &answer);
}

static int emu_make(int dirfd, const char *path, mode_t mode, dev_t device)
{
	struct making making = {mode, device};

	return (int)way_go(dirfd, path, &(struct errand){
		.natively = make_natively,
		.served = make_served,
		.nofollow = true,
		.details = &making,
	});
}

static int emu_mkdir(int dirfd, const char *path, mode_t mode)
{
	return emu_make(dirfd, path, S_IFDIR | (mode & ALLPERMS), 0);
}

static int emu_mknod(int dirfd, const char *path, mode_t mode, dev_t device)
{
	switch (mode & S_IFMT) {
	case 0:
		return emu_make(dirfd, path, S_IFREG | (mode & ALLPERMS), 0);
	case S_IFREG: case S_IFIFO: case S_IFSOCK:
		return emu_make(dirfd, path, mode, 0);
	case S_IFCHR: case S_IFBLK:
		return emu_make(dirfd, path, mode, device);
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
}

int path_mkdir(int dirfd, const char *path, mode_t mode)
{
	int before = errno;
	long result;

	if (!way_is_foreign(dirfd, path))
		return emu_mkdir(dirfd, path, mode);
	result = way_result(REAL(mkdirat)(dirfd, path, mode));
	errno = before;
	return (int)result;
}

EXPORT int mkdir(const char *pathname, mode_t mode)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(mkdir)(pathname, mode);
	return export_named("mkdir", pathname, emu_mkdir(AT_FDCWD, pathname, mode));
}

EXPORT int mkdirat(int dirfd, const char *pathname, mode_t mode)
{
	if (way_is_foreign(dirfd, pathname))
		return REAL(mkdirat)(dirfd, pathname, mode);
	return export_named("mkdirat", pathname, emu_mkdir(dirfd, pathname, mode));
}

EXPORT int mkfifo(const char *pathname, mode_t mode)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(mkfifo)(pathname, mode);
	return export_named("mkfifo", pathname,
	                    emu_mknod(AT_FDCWD, pathname, S_IFIFO | (mode & ALLPERMS), 0));
}

EXPORT int mkfifoat(int dirfd, const char *pathname, mode_t mode)
{
	if (way_is_foreign(dirfd, pathname))
		return REAL(mkfifoat)(dirfd, pathname, mode);
	return export_named("mkfifoat", pathname,
	                    emu_mknod(dirfd, pathname, S_IFIFO | (mode & ALLPERMS), 0));
}

EXPORT int mknod(const char *pathname, mode_t mode, dev_t dev)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(mknod)(pathname, mode, dev);
	return export_named("mknod", pathname, emu_mknod(AT_FDCWD, pathname, mode, dev));
}

EXPORT int mknodat(int dirfd, const char *pathname, mode_t mode, dev_t dev)
{
	if (way_is_foreign(dirfd, pathname))
		return REAL(mknodat)(dirfd, pathname, mode, dev);
	return export_named("mknodat", pathname, emu_mknod(dirfd, pathname, mode, dev));
}

/* What programs call that were built with glibc before 2.33. `version` has one meaning here. */
int __xmknod(int version, const char *pathname, mode_t mode, dev_t *dev);
int __xmknodat(int version, int dirfd, const char *pathname, mode_t mode, dev_t *dev);

EXPORT int __xmknod(int version, const char *pathname, mode_t mode, dev_t *dev)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(__xmknod)(version, pathname, mode, dev);
	return export_named("__xmknod", pathname, emu_mknod(AT_FDCWD, pathname, mode, *dev));
}

EXPORT int __xmknodat(int version, int dirfd, const char *pathname, mode_t mode, dev_t *dev)
{
	if (way_is_foreign(dirfd, pathname))
		return REAL(__xmknodat)(version, dirfd, pathname, mode, dev);
	return export_named("__xmknodat", pathname, emu_mknod(dirfd, pathname, mode, *dev));
}

static long symlink_natively(const struct errand *errand, int dirfd, const char *path,
                             bool nofollow)
{
	return way_result(REAL(symlinkat)(errand->details, dirfd, path));
}

static long symlink_served(const struct errand *errand, struct way *way)
{
	struct wire_request request = wire_request_make(WIRE_SYMLINK);
	struct client_answer answer;

	way->content = errand->details;
	return way_ask(way, &request, &answer);
}

static int emu_symlink(const char *target, int dirfd, const char *path)
{
	if (!*target)
		return -ENOENT;
	if (strnlen(target, PATH_MAX) == PATH_MAX)
		return -ENAMETOOLONG;
	return (int)way_go(dirfd, path, &(struct errand){
		.natively = symlink_natively,
		.served = symlink_served,
		.nofollow = true,
		.details = (void *)(uintptr_t)target,
	});
}

EXPORT int symlink(const char *target, const char *linkpath)
{
	if (way_is_foreign(AT_FDCWD, linkpath))
		return REAL(symlink)(target, linkpath);
	return export_named("symlink", linkpath, emu_symlink(target, AT_FDCWD, linkpath));
}

EXPORT int symlinkat(const char *target, int newdirfd, const char *linkpath)
{
	if (way_is_foreign(newdirfd, linkpath))
		return REAL(symlinkat)(target, newdirfd, linkpath);
	return export_named("symlinkat", linkpath, emu_symlink(target, newdirfd, linkpath));
}

struct reading {
	char *text;
	size_t room;
};

static ssize_t take_text(const struct reading *reading, const char *text, size_t length)
{
	if (length > reading->room)
		length = reading->room;
	memcpy(reading->text, text, length);
	return (ssize_t)length;
}

static long readlink_natively(const struct errand *errand, int dirfd, const char *path,
                              bool nofollow)
{
	const struct reading *reading = errand->details;

	return way_result(REAL(readlinkat)(dirfd, path, reading->text, reading->room));
}

static long readlink_served(const struct errand *errand, struct way *way)
{
	struct wire_request request = wire_request_make(WIRE_READLINK);
	struct client_answer answer;
	long result = way_ask(way, &request, &answer);

	if (result < 0)
		return result;
	return take_text(errand->details, way->text, answer.told.text_length);
}

static ssize_t emu_readlink(int dirfd, const char *path, char *text, size_t room)
{
	struct reading reading = {text, room};

	if (!room || room > INT_MAX)
		return -EINVAL;
	return way_go(dirfd, path, &(struct errand){
		.natively = readlink_natively,
		.served = readlink_served,
		.nofollow = true,
		.details = &reading,
	});
}

ssize_t path_readlink(int dirfd, const char *path, char *ret_text, size_t room)
{
	int before = errno;
	long result;

	if (!way_is_foreign(dirfd, path))
		return emu_readlink(dirfd, path, ret_text, room);
	result = way_result(REAL(readlinkat)(dirfd, path, ret_text, room));
	errno = before;
	return result;
}

static long name_served(const struct errand *errand, struct way *way)
{
	struct wire_request request = wire_request_make(WIRE_PATH_OF);
	struct client_answer answer;
	struct reading rest = *(const struct reading *)errand->details;
	long result = way_ask(way, &request, &answer);
	ssize_t head;

	if (result < 0)
		return result;
	head = take_text(&rest, way_prefix(), strlen(way_prefix()));
	rest = (struct reading){rest.text + head, rest.room - (size_t)head};
	if (answer.told.text_length) {
		head += take_text(&rest, "/", 1);
		rest = (struct reading){rest.text + 1, rest.room ? rest.room - 1 : 0};
	}
	return head + take_text(&rest, way->text, answer.told.text_length);
}

/* What the kernel says in /proc of a folder of ours that is open is not what it is called. */
__attribute__((noinline)) static ssize_t rename_folder(ssize_t length, char *text, size_t room)
{
	struct reading reading = {text, room};
	struct wire_base base;
	char found[256];
	long result;

	if (length <= 0 || length >= (ssize_t)sizeof found)
		return length;
	memcpy(found, text, (size_t)length);
	found[length] = '\0';
	if (!way_base_in(found, &base))
		return length;
	result = way_go_base(&base, &(struct errand){.served = name_served, .details = &reading});
	return result < 0 ? length : result;
}

static inline ssize_t as_seen(ssize_t length, char *text, size_t room)
{
	if (!way_state.folders && !way_state.in_folder)
		return length;
	return rename_folder(length, text, room);
}

EXPORT ssize_t readlink(const char *pathname, char *buf, size_t bufsiz)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return as_seen(REAL(readlink)(pathname, buf, bufsiz), buf, bufsiz);
	return export_sized("readlink", pathname, emu_readlink(AT_FDCWD, pathname, buf, bufsiz));
}

EXPORT ssize_t readlinkat(int dirfd, const char *pathname, char *buf, size_t bufsiz)
{
	if (way_is_foreign(dirfd, pathname))
		return as_seen(REAL(readlinkat)(dirfd, pathname, buf, bufsiz), buf,
		               bufsiz);
	return export_sized("readlinkat", pathname, emu_readlink(dirfd, pathname, buf, bufsiz));
}

/* glibc ends the program when there is less room than it said. */
ssize_t __readlink_chk(const char *pathname, char *buf, size_t bufsiz, size_t room);
ssize_t __readlinkat_chk(int dirfd, const char *pathname, char *buf, size_t bufsiz, size_t room);

EXPORT ssize_t __readlink_chk(const char *pathname, char *buf, size_t bufsiz, size_t room)
{
	if (bufsiz > room || way_is_foreign(AT_FDCWD, pathname))
		return as_seen(REAL(__readlink_chk)(pathname, buf, bufsiz, room), buf,
		               bufsiz);
	return export_sized("readlink", pathname, emu_readlink(AT_FDCWD, pathname, buf, bufsiz));
}

EXPORT ssize_t __readlinkat_chk(int dirfd, const char *pathname, char *buf, size_t bufsiz,
                                size_t room)
{
	if (bufsiz > room || way_is_foreign(dirfd, pathname))
		return as_seen(REAL(__readlinkat_chk)(dirfd, pathname, buf, bufsiz, room),
		               buf, bufsiz);
	return export_sized("readlinkat", pathname, emu_readlink(dirfd, pathname, buf, bufsiz));
}
