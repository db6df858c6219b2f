/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What there is to know of a path, in structs of 32 bits. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "preload/export.h"
#include "preload/paths.h"
#include "preload/real.h"

enum { VERSION = 3 }; /* glibc's _STAT_VER_LINUX: there was another before 2.1 */

struct real narrow_table;

/* By its name for the linker: no header has it with this type here. */
extern int wide_path_stat(int dirfd, const char *path, struct stat64 *ret_status, int at_flags)
	__asm__("path_stat");

#define FITS(to, from) \
	((to) = (__typeof__(to))(from), (uint64_t)(int64_t)(to) == (uint64_t)(from))

/* Times are cut in struct stat64 already. */
static int narrow_of(const struct stat64 *wide, struct stat *ret_status)
{
	struct stat status;
	bool fits;

	memset(&status, 0, sizeof status);
	fits = FITS(status.st_ino, wide->st_ino);
	fits &= FITS(status.st_size, wide->st_size);
	fits &= FITS(status.st_blocks, wide->st_blocks);
	if (!fits)
		return -EOVERFLOW;
	status.st_dev = wide->st_dev;
	status.st_mode = wide->st_mode;
	status.st_nlink = wide->st_nlink;
	status.st_uid = wide->st_uid;
	status.st_gid = wide->st_gid;
	status.st_rdev = wide->st_rdev;
	status.st_blksize = wide->st_blksize;
	status.st_atim = wide->st_atim;
	status.st_mtim = wide->st_mtim;
	status.st_ctim = wide->st_ctim;
	*ret_status = status;
	return 0;
}

int narrow_path_stat(int dirfd, const char *path, struct stat *ret_status, int at_flags)
{
	struct stat64 wide;
	int result = wide_path_stat(dirfd, path, &wide, at_flags);

	return result < 0 ? result : narrow_of(&wide, ret_status);
}

static int answer(int result, const struct stat64 *wide, struct stat *ret_status)
{
	return result < 0 ? result : export_result(narrow_of(wide, ret_status));
}

EXPORT int stat(const char *pathname, struct stat *statbuf)
{
	struct stat64 wide;

	return answer(stat64(pathname, &wide), &wide, statbuf);
}

EXPORT int lstat(const char *pathname, struct stat *statbuf)
{
	struct stat64 wide;

	return answer(lstat64(pathname, &wide), &wide, statbuf);
}

EXPORT int fstatat(int dirfd, const char *pathname, struct stat *statbuf, int flags)
{
	struct stat64 wide;

	return answer(fstatat64(dirfd, pathname, &wide, flags), &wide, statbuf);
}

int __xstat(int version, const char *pathname, struct stat *statbuf);
int __lxstat(int version, const char *pathname, struct stat *statbuf);
int __fxstatat(int version, int dirfd, const char *pathname, struct stat *statbuf, int flags);

EXPORT int __xstat(int version, const char *pathname, struct stat *statbuf)
{
	return version == VERSION ? stat(pathname, statbuf) :
	                            REAL(__xstat)(version, pathname, statbuf);
}

EXPORT int __lxstat(int version, const char *pathname, struct stat *statbuf)
{
	return version == VERSION ? lstat(pathname, statbuf) :
	                            REAL(__lxstat)(version, pathname, statbuf);
}

EXPORT int __fxstatat(int version, int dirfd, const char *pathname, struct stat *statbuf, int flags)
{
	return version == VERSION ? fstatat(dirfd, pathname, statbuf, flags) :
	                            REAL(__fxstatat)(version, dirfd, pathname, statbuf, flags);
}

/* All ones, where a filesystem has no number to tell, stay so. */
#define COUNT_FITS(to, from) FITS(to, (from) == UINT64_MAX ? (uint64_t)(uint32_t)-1 : (from))
#define ROOM_FITS(to, from) \
	(FITS((to).f_blocks, (from).f_blocks) && FITS((to).f_bfree, (from).f_bfree) && \
	 FITS((to).f_bavail, (from).f_bavail) && COUNT_FITS((to).f_files, (from).f_files) && \
	 COUNT_FITS((to).f_ffree, (from).f_ffree))

EXPORT int statfs(const char *path, struct statfs *buf)
{
	struct statfs64 wide;
	struct statfs narrow;

	if (statfs64(path, &wide) < 0)
		return -1;
	memset(&narrow, 0, sizeof narrow);
	if (!ROOM_FITS(narrow, wide))
		return export_result(-EOVERFLOW);
	narrow.f_type = wide.f_type;
	narrow.f_bsize = wide.f_bsize;
	narrow.f_fsid = wide.f_fsid;
	narrow.f_namelen = wide.f_namelen;
	narrow.f_frsize = wide.f_frsize;
	narrow.f_flags = wide.f_flags;
	*buf = narrow;
	return 0;
}

EXPORT int statvfs(const char *path, struct statvfs *buf)
{
	struct statvfs64 wide;
	struct statvfs narrow;

	if (statvfs64(path, &wide) < 0)
		return -1;
	memset(&narrow, 0, sizeof narrow);
	if (!ROOM_FITS(narrow, wide) || !COUNT_FITS(narrow.f_favail, wide.f_favail))
		return export_result(-EOVERFLOW);
	narrow.f_bsize = wide.f_bsize;
	narrow.f_frsize = wide.f_frsize;
	narrow.f_fsid = wide.f_fsid;
	narrow.f_flag = wide.f_flag;
	narrow.f_namemax = wide.f_namemax;
	*buf = narrow;
	return 0;
}
