/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files in /dev/shm by their path: open, unlink, statvfs. Every other path goes to libc's
 * function as it came, which keeps that a cancellation point and a signal-safe call, at the price
 * of looking at the path's first letters. */
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/own.h"
#include "base/path.h"
#include "preload/ask.h"
#include "preload/emu.h"
#include "preload/export.h"
#include "preload/real.h"
#include "preload/trace.h"

/* An absolute path makes a directory descriptor meaningless, so the *at calls come here as well. */
static int open_ours(const char *call, const char *path, int judged, const struct name *name,
                     int flags, mode_t mode)
{
	int result = judged;

	pthread_testcancel();
	if (judged == PATH_NAME)
		result = emu_open(name, flags, mode);
	trace_open(call, path, flags, mode, result);
	return export_result(result);
}

static int unlink_ours(const char *call, const char *path, int judged, const struct name *name)
{
	int result = judged == PATH_NAME ? emu_unlink(name) : judged;

	trace_name(call, path, result);
	return export_result(result);
}

/* A file's name, or one that is too long for any. */
static bool is_ours(int judged)
{
	return judged == PATH_NAME || judged < 0;
}

static bool takes_mode(int flags)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

static mode_t mode_argument(int flags, va_list more)
{
	return takes_mode(flags) ? va_arg(more, mode_t) : 0;
}

#define OPEN(call, flags, ...) \
	do { \
		struct name name; \
		int judged = path_judge(pathname, &name); \
		mode_t mode; \
		va_list more; \
\
		va_start(more, flags); \
		mode = mode_argument(flags, more); \
		va_end(more); \
		if (is_ours(judged)) \
			return open_ours(#call, pathname, judged, &name, flags, mode); \
		return real_calls()->call(__VA_ARGS__, mode); \
	} while (0)

EXPORT int open(const char *pathname, int flags, ...)
{
	OPEN(open, flags, pathname, flags);
}

EXPORT int open64(const char *pathname, int flags, ...)
{
	OPEN(open64, flags, pathname, flags);
}

EXPORT int openat(int dirfd, const char *pathname, int flags, ...)
{
	OPEN(openat, flags, dirfd, pathname, flags);
}

EXPORT int openat64(int dirfd, const char *pathname, int flags, ...)
{
	OPEN(openat64, flags, dirfd, pathname, flags);
}

#define OPEN_2(call, flags, ...) \
	do { \
		struct name name; \
		int judged = path_judge(pathname, &name); \
\
		/* Without a mode there must be no O_CREAT: glibc ends the program. */ \
		if (is_ours(judged) && !takes_mode(flags)) \
			return open_ours(#call, pathname, judged, &name, flags, 0); \
		return real_calls()->call(__VA_ARGS__); \
	} while (0)

EXPORT int __open_2(const char *pathname, int flags);
EXPORT int __open_2(const char *pathname, int flags)
{
	OPEN_2(__open_2, flags, pathname, flags);
}

EXPORT int __open64_2(const char *pathname, int flags);
EXPORT int __open64_2(const char *pathname, int flags)
{
	OPEN_2(__open64_2, flags, pathname, flags);
}

EXPORT int __openat_2(int dirfd, const char *pathname, int flags);
EXPORT int __openat_2(int dirfd, const char *pathname, int flags)
{
	OPEN_2(__openat_2, flags, dirfd, pathname, flags);
}

EXPORT int __openat64_2(int dirfd, const char *pathname, int flags);
EXPORT int __openat64_2(int dirfd, const char *pathname, int flags)
{
	OPEN_2(__openat64_2, flags, dirfd, pathname, flags);
}

EXPORT int unlink(const char *pathname)
{
	struct name name;
	int judged = path_judge(pathname, &name);

	if (is_ours(judged))
		return unlink_ours("unlink", pathname, judged, &name);
	return real_calls()->unlink(pathname);
}

EXPORT int unlinkat(int dirfd, const char *pathname, int flags)
{
	struct name name;
	int judged = path_judge(pathname, &name);

	/* AT_REMOVEDIR on a file is ENOTDIR, and what else there may be the kernel knows. */
	if (is_ours(judged) && flags == 0)
		return unlink_ours("unlinkat", pathname, judged, &name);
	return real_calls()->unlinkat(dirfd, pathname, flags);
}

static int check_exists(const struct name *name)
{
	int file = emu_open(name, O_PATH | O_CLOEXEC, 0);

	if (file >= 0)
		sys_close(file);
	return file < 0 ? file : 0;
}

/* What statvfs says of a tmpfs on /dev/shm, with the store's room. */
static int emu_statvfs(int judged, const struct name *name, struct statvfs *ret_status)
{
	enum { BLOCK_SIZE = 4096 };
	struct wire_request request = wire_request_make(WIRE_ROOM);
	struct client_answer answer;
	int result = judged == PATH_NAME ? check_exists(name) : 0;

	if (judged < 0)
		return judged;
	if (result == 0)
		result = ask(&request, &answer);
	if (result < 0)
		return result;
	memset(ret_status, 0, sizeof *ret_status);
	ret_status->f_bsize = ret_status->f_frsize = BLOCK_SIZE;
	ret_status->f_blocks = answer.reply.room.total / BLOCK_SIZE;
	ret_status->f_bfree = ret_status->f_bavail = answer.reply.room.available / BLOCK_SIZE;
	ret_status->f_ffree = ret_status->f_favail = ret_status->f_bfree;
	ret_status->f_files = answer.reply.room.inodes + ret_status->f_ffree;
	ret_status->f_flag = ST_NOSUID | ST_NODEV;
	ret_status->f_namemax = NAME_LENGTH_MAX;
	return 0;
}

EXPORT int statvfs(const char *path, struct statvfs *buf)
{
	struct name name;
	int judged = path_judge(path, &name);
	int result;

	if (judged == PATH_FOREIGN)
		return real_calls()->statvfs(path, buf);
	result = emu_statvfs(judged, &name, buf);
	trace_name("statvfs", path, result);
	return export_result(result);
}

/* One layout, where a long has 64 bits. */
_Static_assert(sizeof(struct statvfs) == sizeof(struct statvfs64), "statvfs64 is statvfs");
extern __typeof__(statvfs64) statvfs64 __attribute__((alias("statvfs"))) EXPORT;
