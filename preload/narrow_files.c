/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls with a 32-bit off_t in their arguments, and those that open files for programs that have
 * one: a file that is too large for them is EOVERFLOW. What is opened of ours is a large file all
 * the same, which only shows where such a program writes beyond 2 GiB of it. To open it once more
 * without O_LARGEFILE would show as well: to whoever watches it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/sys.h"
#include "preload/export.h"
#include "preload/points.h"
#include "preload/real.h"
#include "preload/way.h"

static int judge(int fd, int flags)
{
	struct stat64 status;

	if (fd < 0 || (flags & (O_LARGEFILE | O_PATH)) || fstat64(fd, &status) < 0 ||
	    !S_ISREG(status.st_mode) || status.st_size <= INT32_MAX)
		return fd;
	sys_close(fd);
	return export_result(-EOVERFLOW);
}

/* What has its third argument or not, as the flags say, is passed as open.c has it. */
EXPORT int narrow_open(const char *pathname, int flags, mode_t mode) __asm__("open");
EXPORT int narrow_open(const char *pathname, int flags, mode_t mode)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(open)(pathname, flags, mode);
	return judge(open64(pathname, flags, mode), flags);
}

EXPORT int narrow_openat(int dirfd, const char *pathname, int flags, mode_t mode) __asm__("openat");
EXPORT int narrow_openat(int dirfd, const char *pathname, int flags, mode_t mode)
{
	if (way_is_foreign(dirfd, pathname))
		return REAL(openat)(dirfd, pathname, flags, mode);
	return judge(openat64(dirfd, pathname, flags, mode), flags);
}

EXPORT int creat(const char *pathname, mode_t mode)
{
	return way_is_foreign(AT_FDCWD, pathname) ? REAL(creat)(pathname, mode) :
	                                            creat64(pathname, mode);
}

int __open64_2(const char *pathname, int flags);
int __openat64_2(int dirfd, const char *pathname, int flags);
int __open_2(const char *pathname, int flags);
int __openat_2(int dirfd, const char *pathname, int flags);

EXPORT int __open_2(const char *pathname, int flags)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(__open_2)(pathname, flags);
	return judge(__open64_2(pathname, flags), flags);
}

EXPORT int __openat_2(int dirfd, const char *pathname, int flags)
{
	if (way_is_foreign(dirfd, pathname))
		return REAL(__openat_2)(dirfd, pathname, flags);
	return judge(__openat64_2(dirfd, pathname, flags), flags);
}

EXPORT FILE *fopen(const char *pathname, const char *mode)
{
	return way_is_foreign(AT_FDCWD, pathname) ? REAL(fopen)(pathname, mode) :
	                                            fopen64(pathname, mode);
}

EXPORT FILE *freopen(const char *pathname, const char *mode, FILE *stream)
{
	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(freopen)(pathname, mode, stream);
	return freopen64(pathname, mode, stream);
}

EXPORT int mkstemp(char *template)
{
	return mkstemp64(template);
}

EXPORT int mkostemp(char *template, int flags)
{
	return mkostemp64(template, flags);
}

EXPORT int mkstemps(char *template, int suffixlen)
{
	return mkstemps64(template, suffixlen);
}

EXPORT int mkostemps(char *template, int suffixlen, int flags)
{
	return mkostemps64(template, suffixlen, flags);
}

EXPORT int truncate(const char *path, off_t length)
{
	return truncate64(path, length);
}

EXPORT int ftruncate(int fd, off_t length)
{
	return ftruncate64(fd, length);
}

EXPORT int fallocate(int fd, int mode, off_t offset, off_t len)
{
	return fallocate64(fd, mode, offset, len);
}

EXPORT int posix_fallocate(int fd, off_t offset, off_t len)
{
	return posix_fallocate64(fd, offset, len);
}

/* mmap alone can do with what would be a negative one, as libc has it. */
EXPORT void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	return mmap64(addr, length, prot, flags, fd, (uint32_t)offset);
}

EXPORT ssize_t pread(int fd, void *buf, size_t count, off_t offset)
{
	return pread64(fd, buf, count, offset);
}

EXPORT ssize_t pwrite(int fd, const void *buf, size_t count, off_t offset)
{
	return pwrite64(fd, buf, count, offset);
}

EXPORT ssize_t preadv(int fd, const struct iovec *iov, int count, off_t offset)
{
	return preadv64(fd, iov, count, offset);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	return pwritev64(fd, iov, count, offset);
}

EXPORT ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	return preadv64v2(fd, iov, count, offset, flags);
}

EXPORT ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	return pwritev64v2(fd, iov, count, offset, flags);
}

ssize_t __pread64_chk(int fd, void *buf, size_t count, off64_t offset, size_t room);
ssize_t __pread_chk(int fd, void *buf, size_t count, off_t offset, size_t room);

EXPORT ssize_t __pread_chk(int fd, void *buf, size_t count, off_t offset, size_t room)
{
	return __pread64_chk(fd, buf, count, offset, room);
}

EXPORT ssize_t sendfile(int out, int in, off_t *offset, size_t count)
{
	POINTS_TALK(ssize_t, sendfile, (out, in, offset, count));
}

EXPORT int lockf(int fd, int command, off_t size)
{
	return lockf64(fd, command, size);
}

/* The kernel tells by the command which struct flock it is. */
EXPORT int narrow_fcntl(int fd, int command, void *argument) __asm__("fcntl");
EXPORT int narrow_fcntl(int fd, int command, void *argument)
{
	POINTS_TALK(int, fcntl, (fd, command, argument));
}
