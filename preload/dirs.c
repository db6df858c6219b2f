/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* opendir and its kin. What is no stream of ours costs a compare. */
#include "preload/dirs.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#include "base/own.h"
#include "preload/export.h"
#include "preload/paths.h"
#include "preload/real.h"
#include "preload/stream.h"
#include "preload/way.h"

_Static_assert(sizeof(struct dirent) == sizeof(struct dirent64) &&
               offsetof(struct dirent, d_name) == offsetof(struct dirent64, d_name),
               "dirent64 is dirent");

/* Takes `fd` over if all is well. Returns 0 or -errno. */
static int stream_of(int fd, DIR **ret_dir)
{
	struct wire_base base;
	DIR *dir;

	if (!way_base_of(fd, &base)) {
		dir = REAL(fdopendir)(fd);
		if (!dir)
			return -errno;
		*ret_dir = dir;
		return 0;
	}
	return stream_open(fd, &base, ret_dir);
}

static int open_at(int dirfd, const char *path, DIR **ret_dir)
{
	OWN_FD fd = path_open(dirfd, path, O_RDONLY | O_NONBLOCK | O_DIRECTORY | O_CLOEXEC, 0);
	int result = fd < 0 ? fd : stream_of(fd, ret_dir);

	if (result == 0)
		fd_steal(&fd);
	return result;
}

int dir_open(int dirfd, const char *path, DIR **ret_dir)
{
	int error = errno;
	int result = open_at(dirfd, path, ret_dir);

	errno = error;
	return result;
}

int dir_next(DIR *dir, struct dirent **ret_entry)
{
	struct dirent *entry;
	int before = errno;
	int result;

	if (stream_is_ours(dir))
		return stream_next(dir, ret_entry);
	errno = 0;
	entry = REAL(readdir)(dir);
	result = entry ? 1 : -errno;
	errno = before;
	if (entry)
		*ret_entry = entry;
	return result;
}

int dir_close(DIR *dir)
{
	int before = errno;
	int result;

	if (stream_is_ours(dir))
		return stream_close(dir);
	result = (int)way_result(REAL(closedir)(dir));
	errno = before;
	return result;
}

int dir_fd(DIR *dir)
{
	return stream_is_ours(dir) ? stream_fd(dir) : REAL(dirfd)(dir);
}

long dir_tell(DIR *dir)
{
	return stream_is_ours(dir) ? stream_tell(dir) : REAL(telldir)(dir);
}

void dir_seek(DIR *dir, long position)
{
	if (stream_is_ours(dir))
		stream_seek(dir, position);
	else
		REAL(seekdir)(dir, position);
}

/* By way of a descriptor, or of some process's working folder: where that leads shows when it is
 * open. */
static bool is_in_proc(const char *name)
{
	return name && (strncmp(name, "/proc/", 6) == 0 || strncmp(name, "/dev/fd/", 8) == 0);
}

EXPORT DIR *opendir(const char *name)
{
	DIR *dir = NULL;

	if (way_is_foreign(AT_FDCWD, name) && !is_in_proc(name))
		return REAL(opendir)(name);
	export_named("opendir", name, dir_open(AT_FDCWD, name, &dir));
	return dir;
}

/* As glibc has it. One that is O_PATH passes, and can't be read from. */
static int check_descriptor(int fd)
{
	int flags = sys_fcntl(fd, F_GETFL, 0);

	if (flags < 0)
		return flags;
	return (flags & O_ACCMODE) == O_WRONLY ? -EINVAL : 0;
}

EXPORT DIR *fdopendir(int fd)
{
	struct wire_base base;
	DIR *dir = NULL;
	int result;

	if (fd < 0 || way_is_foreign(fd, ".") || !way_base_of(fd, &base))
		return REAL(fdopendir)(fd);
	result = check_descriptor(fd);
	if (result == 0)
		result = stream_open(fd, &base, &dir);
	export_result(result);
	return dir;
}

EXPORT int closedir(DIR *dirp)
{
	if (!stream_is_ours(dirp))
		return REAL(closedir)(dirp);
	return export_result(stream_close(dirp));
}

EXPORT int dirfd(DIR *dirp)
{
	return dir_fd(dirp);
}

EXPORT struct dirent *readdir(DIR *dirp)
{
	struct dirent *entry = NULL;

	if (!stream_is_ours(dirp))
		return REAL(readdir)(dirp);
	export_result(stream_next(dirp, &entry));
	return entry;
}

EXPORT_WIDE(readdir64, readdir);

static int next_copy(DIR *dir, struct dirent *ret_entry, struct dirent **ret_place)
{
	int result = stream_next_copy(dir, ret_entry);

	*ret_place = result > 0 ? ret_entry : NULL;
	return result < 0 ? -result : 0;
}

EXPORT int readdir_r(DIR *dirp, struct dirent *entry, struct dirent **result)
{
	if (!stream_is_ours(dirp))
		return REAL(readdir_r)(dirp, entry, result);
	return next_copy(dirp, entry, result);
}

/* As it is declared it would warn that it is deprecated. */
WIDE_ALIAS_AS(next_copy, readdir64_r, readdir_r);

EXPORT void rewinddir(DIR *dirp)
{
	if (stream_is_ours(dirp))
		stream_seek(dirp, 0);
	else
		REAL(rewinddir)(dirp);
}

EXPORT long telldir(DIR *dirp)
{
	return dir_tell(dirp);
}

EXPORT void seekdir(DIR *dirp, long loc)
{
	dir_seek(dirp, loc);
}
