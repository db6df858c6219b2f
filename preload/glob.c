/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* glob: libc's own, which is told to look at folders and files by our functions where the pattern
 * may lead to the store. Those lead to libc's again for what is not ours. */
#include <glob.h>

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "base/path.h"
#include "preload/boot.h"
#include "preload/dirs.h"
#include "preload/export.h"
#include "preload/heap.h"
#include "preload/paths.h"
#include "preload/real.h"
#include "preload/way.h"

/* As far as there is no wildcard: may it lead to a prefix, from the host's root on? */
static bool may_match(const char *pattern, const char *prefix)
{
	for (;; pattern++, prefix++) {
		if (strchr("*?[{\\", *pattern))
			return true; /* and the end */
		while (pattern[0] == '/' && pattern[1] == '/')
			pattern++;
		/* Above the prefix, or "..": it is looked at closer there. */
		if (!*prefix || *pattern == '.')
			return true;
		if (*pattern != *prefix)
			return false;
	}
}

static bool is_ours(const char *pattern)
{
	const struct config *config = boot_config();

	if (pattern[0] != '/')
		return way_state.in_folder || pattern[0] == '{' || pattern[0] == '~';
	/* The letter behind the slash, as for any path. */
	if (!way_state.letters[(unsigned char)pattern[1]] && !strchr("*?[{\\", pattern[1]))
		return false;
	for (size_t i = 0; i < config->prefix_count; i++)
		if (may_match(pattern, config->prefixes[i]))
			return true;
	return false;
}

/* A folder that is read. In one that a prefix goes through, the name on the way to the store is
 * there, whether the host has it or not. */
struct listing {
	DIR *dir;
	struct dirent entry; /* of that name */
	bool is_missing;     /* nobody has told of it yet */
};

static bool find_way(const char *path, struct dirent *ret_entry)
{
	const struct config *config = boot_config();

	for (size_t i = 0; path[0] == '/' && i < config->prefix_count; i++) {
		struct path_place place = PATH_ROOT;
		const char *name;
		size_t length;

		if (path_judge(config->prefixes[i], path, &place) != PATH_ABOVE)
			continue;
		name = config->prefixes[i] + path_length(config->prefixes[i], place.depth);
		name += strspn(name, "/");
		length = strcspn(name, "/");
		if (length >= sizeof ret_entry->d_name)
			continue;
		memcpy(ret_entry->d_name, name, length);
		ret_entry->d_ino = 1;
		ret_entry->d_type = DT_DIR;
		ret_entry->d_reclen = sizeof *ret_entry;
		return true;
	}
	return false;
}

static void *open_folder(const char *path)
{
	struct listing *listing = heap_take(sizeof *listing);
	int result;

	if (!listing)
		return NULL;
	memset(listing, 0, sizeof *listing);
	result = dir_open(AT_FDCWD, path, &listing->dir);
	if (result < 0) {
		heap_give(listing);
		export_result(result);
		return NULL;
	}
	listing->is_missing = find_way(path, &listing->entry);
	return listing;
}

static struct dirent *read_folder(void *stream)
{
	struct listing *listing = stream;
	struct dirent *entry = NULL;
	int result = dir_next(listing->dir, &entry);

	if (result > 0 && strcmp(entry->d_name, listing->entry.d_name) == 0)
		listing->is_missing = false;
	if (result == 0 && listing->is_missing) {
		listing->is_missing = false;
		return &listing->entry;
	}
	export_result(result);
	return entry;
}

static void close_folder(void *stream)
{
	struct listing *listing = stream;

	dir_close(listing->dir);
	heap_give(listing);
}

static int stat_link(const char *path, struct stat *ret_status)
{
	return export_result(path_stat(AT_FDCWD, path, ret_status, AT_SYMLINK_NOFOLLOW));
}

static int stat_target(const char *path, struct stat *ret_status)
{
	return export_result(path_stat(AT_FDCWD, path, ret_status, 0));
}

EXPORT int glob(const char *pattern, int flags, int (*errfunc)(const char *path, int error),
                glob_t *pglob)
{
	glob_t before;
	int result;

	if (!pattern || !pglob || (flags & GLOB_ALTDIRFUNC) || !is_ours(pattern))
		return REAL(glob)(pattern, flags, errfunc, pglob);
	before = *pglob;
	pglob->gl_opendir = open_folder;
	pglob->gl_readdir = read_folder;
	pglob->gl_closedir = close_folder;
	pglob->gl_lstat = stat_link;
	pglob->gl_stat = stat_target;
	result = REAL(glob)(pattern, flags | GLOB_ALTDIRFUNC, errfunc, pglob);
	pglob->gl_flags &= ~GLOB_ALTDIRFUNC;
	pglob->gl_opendir = before.gl_opendir;
	pglob->gl_readdir = before.gl_readdir;
	pglob->gl_closedir = before.gl_closedir;
	pglob->gl_lstat = before.gl_lstat;
	pglob->gl_stat = before.gl_stat;
	return result;
}

WIDE_SAME(glob_t, glob64_t);
EXPORT_WIDE(glob64, glob);
