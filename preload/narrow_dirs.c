/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Entries of folders with 32-bit numbers. */
#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "preload/dirs.h"
#include "preload/export.h"
#include "preload/real.h"
#include "preload/stream.h"
#include "preload/way.h"

/* By its name for the linker. */
extern int wide_dir_next(DIR *dir, struct dirent64 **ret_entry) __asm__("dir_next");

/* In its place: it is the stream's own until the next one. */
static int narrow_of(struct dirent64 *wide, struct dirent **ret_entry)
{
	enum { SHORTER = offsetof(struct dirent64, d_name) - offsetof(struct dirent, d_name) };
	struct dirent *entry = (struct dirent *)(void *)wide;
	struct dirent head = {
		.d_ino = (ino_t)wide->d_ino,
		.d_off = (off_t)wide->d_off,
		.d_reclen = (unsigned short)(wide->d_reclen - SHORTER),
		.d_type = wide->d_type,
	};

	if (head.d_ino != wide->d_ino)
		return -EOVERFLOW;
	memmove((char *)entry + offsetof(struct dirent, d_name), wide->d_name,
	        strlen(wide->d_name) + 1);
	memcpy(entry, &head, offsetof(struct dirent, d_name));
	*ret_entry = entry;
	return 1;
}

/* Of libc's streams too: where the next entry begins it knows by itself. */
int narrow_dir_next(DIR *dir, struct dirent **ret_entry)
{
	struct dirent64 *wide;
	int result = wide_dir_next(dir, &wide);

	return result > 0 ? narrow_of(wide, ret_entry) : result;
}

EXPORT struct dirent *readdir(DIR *dirp)
{
	struct dirent *entry = NULL;

	if (!stream_is_ours(dirp))
		return REAL(readdir)(dirp);
	export_result(narrow_dir_next(dirp, &entry));
	return entry;
}

extern int narrow_readdir_r(DIR *dirp, struct dirent *entry, struct dirent **result)
	__asm__("readdir_r");
extern int wide_readdir_r(DIR *dirp, struct dirent64 *entry, struct dirent64 **result)
	__asm__("readdir64_r");

EXPORT int narrow_readdir_r(DIR *dirp, struct dirent *entry, struct dirent **result)
{
	struct dirent64 copy, *at;
	int error;

	if (!stream_is_ours(dirp))
		return REAL(readdir_r)(dirp, entry, result);
	error = wide_readdir_r(dirp, &copy, &at);
	*result = NULL;
	if (error || !at)
		return error;
	error = narrow_of(&copy, result);
	if (error < 0)
		return -error;
	memcpy(entry, *result, (*result)->d_reclen);
	*result = entry;
	return 0;
}
