/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ftw, nftw, where the walk begins in the store; it may lead out of it. What a program is told,
 * and in which order, is as glibc has it. Of too many open streams the outermost is closed, and
 * opened again where it was. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <string.h>

#include "base/own.h"
#include "preload/dirs.h"
#include "preload/export.h"
#include "preload/heap.h"
#include "preload/paths.h"
#include "preload/place.h"
#include "preload/real.h"
#include "preload/stream.h"
#include "preload/way.h"

struct seen {
	dev_t device;
	ino_t inode;
};

struct walk {
	struct pages path;
	struct pages seen; /* folders, if links are followed: an open hash, ino 0 is free */
	size_t seen_count;
	struct FTW place;
	int flags;
	dev_t device;
	int streams_left;
	int error; /* our own, -errno: what -1 means then */
	__nftw_func_t nftw;
	__ftw_func_t ftw; /* without nftw */
};

/* A folder that the walk is in. */
struct level {
	struct level *parent;
	DIR *dir; /* NULL: closed, and was at `position` */
	long position;
};

static char *text_of(const struct walk *walk)
{
	return walk->path.memory;
}

static char *name_of(const struct walk *walk)
{
	return text_of(walk) + walk->place.base;
}

static int fail(struct walk *walk, int error)
{
	walk->error = error;
	return -1;
}

static int report(struct walk *walk, const struct stat *status, int kind)
{
	/* What ftw has no word for. */
	static const int old_kinds[] = {
		[FTW_F] = FTW_F, [FTW_D] = FTW_D, [FTW_DNR] = FTW_DNR, [FTW_NS] = FTW_NS,
		[FTW_SL] = FTW_F, [FTW_DP] = FTW_D, [FTW_SLN] = FTW_NS,
	};

	if (!walk->nftw)
		return walk->ftw(text_of(walk), status, old_kinds[kind]);
	return walk->nftw(text_of(walk), status, kind, &walk->place);
}

static bool skips(const struct walk *walk, int result, int action)
{
	return (walk->flags & FTW_ACTIONRETVAL) && result == action;
}

static struct seen *find_seen(const struct pages *pages, const struct seen *folder)
{
	struct seen *all = pages->memory;
	size_t room = pages->size / sizeof *all;
	size_t at = (size_t)(folder->inode * 0x9e3779b97f4a7c15U >> 32) & (room - 1);

	while (all[at].inode &&
	       (all[at].inode != folder->inode || all[at].device != folder->device))
		at = (at + 1) & (room - 1);
	return &all[at];
}

/* Kept half empty. Sizes are powers of two. */
static int grow_seen(struct walk *walk)
{
	struct pages larger = {0};
	struct seen *all = walk->seen.memory;
	size_t room = walk->seen.size / sizeof *all;
	int result;

	if (walk->seen_count * 2 < room)
		return 0;
	result = pages_grow(&larger, room ? walk->seen.size * 2 : 1);
	if (result < 0)
		return result;
	for (size_t i = 0; i < room; i++)
		if (all[i].inode)
			*find_seen(&larger, &all[i]) = all[i];
	pages_deinit(&walk->seen);
	walk->seen = larger;
	return 0;
}

/* 1: it is new; 0: the walk was there before; or -errno. */
static int add_seen(struct walk *walk, const struct stat *status)
{
	struct seen folder = {status->st_dev, status->st_ino};
	int result = grow_seen(walk);
	struct seen *place;

	if (result < 0)
		return result;
	place = find_seen(&walk->seen, &folder);
	if (place->inode)
		return 0;
	*place = folder;
	walk->seen_count++;
	return 1;
}

static void close_level(struct walk *walk, struct level *level)
{
	if (!level->dir)
		return;
	dir_close(level->dir);
	level->dir = NULL;
	walk->streams_left++;
}

static void spare_stream(struct walk *walk, struct level *level)
{
	struct level *outermost = NULL;

	for (; level; level = level->parent)
		if (level->dir)
			outermost = level;
	if (outermost) {
		outermost->position = dir_tell(outermost->dir);
		close_level(walk, outermost);
	}
}

static int open_level(struct walk *walk, struct level *level, int dirfd, const char *path)
{
	int result = dir_open(dirfd, path, &level->dir);

	if (result == 0)
		walk->streams_left--;
	return result;
}

/* The folder whose path and name stand in the walk. */
static int enter_level(struct walk *walk, struct level *level)
{
	struct level *parent = level->parent;
	bool by_name = (walk->flags & FTW_CHDIR) && *name_of(walk);

	if (walk->streams_left <= 0)
		spare_stream(walk, parent);
	if (parent && parent->dir)
		return open_level(walk, level, dir_fd(parent->dir), name_of(walk));
	return open_level(walk, level, AT_FDCWD, by_name ? name_of(walk) : text_of(walk));
}

static int reopen_level(struct walk *walk, struct level *level)
{
	int result;

	if (level->dir)
		return 0;
	*name_of(walk) = '\0';
	result = open_level(walk, level, AT_FDCWD,
	                    walk->flags & FTW_CHDIR ? "." : text_of(walk));
	if (result == 0)
		dir_seek(level->dir, level->position);
	return result;
}

/* What the name leads to: a kind for the program, or -errno. */
static int judge(const struct walk *walk, int dirfd, const char *name, struct stat *ret_status)
{
	bool is_physical = walk->flags & FTW_PHYS;
	int result = path_stat(dirfd, name, ret_status, is_physical ? AT_SYMLINK_NOFOLLOW : 0);

	if (result == 0)
		return S_ISDIR(ret_status->st_mode) ? FTW_D :
		       S_ISLNK(ret_status->st_mode) ? FTW_SL : FTW_F;
	if (result != -EACCES && result != -ENOENT)
		return result;
	if (!is_physical && path_stat(dirfd, name, ret_status, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISLNK(ret_status->st_mode))
		return FTW_SLN;
	/* Programs look at it. */
	export_result(result);
	return FTW_NS;
}

/* In the store all is on one filesystem, though its files are on several of the kernel's. */
static bool is_on_device(const struct walk *walk, const struct level *level,
                         const struct stat *status)
{
	return !(walk->flags & FTW_MOUNT) || status->st_dev == walk->device ||
	       (stream_is_ours(level->dir) && !S_ISDIR(status->st_mode));
}

static int walk_folder(struct walk *walk, struct level *parent, const struct stat *status);

static int walk_new_folder(struct walk *walk, struct level *level, const struct stat *status)
{
	int result = walk->flags & FTW_PHYS ? 1 : add_seen(walk, status);

	if (result < 0)
		return fail(walk, result);
	return result ? walk_folder(walk, level, status) : 0;
}

static int walk_entry(struct walk *walk, struct level *level, const char *name)
{
	size_t size = strlen(name) + 1;
	struct stat status;
	int kind, result;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return 0;
	result = pages_grow(&walk->path, (size_t)walk->place.base + size + 1);
	if (result < 0)
		return fail(walk, result);
	memcpy(name_of(walk), name, size);
	kind = judge(walk, dir_fd(level->dir), name_of(walk), &status);
	if (kind < 0)
		return fail(walk, kind);
	if (kind != FTW_NS && !is_on_device(walk, level, &status))
		return 0;
	result = kind == FTW_D ? walk_new_folder(walk, level, &status) :
	                         report(walk, &status, kind);
	return skips(walk, result, FTW_SKIP_SUBTREE) ? 0 : result;
}

static int walk_entries(struct walk *walk, struct level *level)
{
	struct dirent *entry;
	int result;

	for (;;) {
		result = reopen_level(walk, level);
		if (result == 0)
			result = dir_next(level->dir, &entry);
		/* glibc takes an error for the end. */
		if (result <= 0)
			return 0;
		result = walk_entry(walk, level, entry->d_name);
		if (result)
			return result;
	}
}

/* The working folder again that of `level`. */
static int go_back(struct walk *walk, struct level *level)
{
	int result = level->dir ? place_enter_fd(dir_fd(level->dir)) : -ENOENT;

	if (result < 0)
		result = place_enter(walk->place.base == 1 ? "/" : "..");
	return result < 0 ? fail(walk, result) : 0;
}

/* A path ends in no slash but the root's. */
static void step_down(struct walk *walk)
{
	size_t length = strlen(text_of(walk));

	if (text_of(walk)[length - 1] != '/')
		text_of(walk)[length++] = '/';
	text_of(walk)[length] = '\0';
	walk->place.base = (int)length;
	walk->place.level++;
}

static void step_up(struct walk *walk, int base)
{
	text_of(walk)[walk->place.base - 1] = '\0';
	walk->place.base = base;
	walk->place.level--;
}

/* An open folder, from the first report to the last. */
static int walk_level(struct walk *walk, struct level *level, const struct stat *status)
{
	int base = walk->place.base;
	int result = 0;

	if (!(walk->flags & FTW_DEPTH))
		result = report(walk, status, FTW_D);
	if (result == 0 && (walk->flags & FTW_CHDIR)) {
		result = place_enter_fd(dir_fd(level->dir));
		result = result < 0 ? fail(walk, result) : 0;
	}
	if (result) {
		close_level(walk, level);
		return result;
	}
	step_down(walk);
	result = walk_entries(walk, level);
	close_level(walk, level);
	if (skips(walk, result, FTW_SKIP_SIBLINGS))
		result = 0;
	step_up(walk, base);
	if (result == 0 && (walk->flags & FTW_DEPTH))
		result = report(walk, status, FTW_DP);
	if (level->parent && (walk->flags & FTW_CHDIR) &&
	    (result == 0 || ((walk->flags & FTW_ACTIONRETVAL) && result != -1 &&
	                     result != FTW_STOP)) && go_back(walk, level->parent) < 0)
		return -1;
	return result;
}

static int walk_folder(struct walk *walk, struct level *parent, const struct stat *status)
{
	struct level level = {.parent = parent};
	int result = enter_level(walk, &level);

	if (result == -EACCES) {
		export_result(result);
		return report(walk, status, FTW_DNR);
	}
	if (result < 0)
		return fail(walk, result);
	return walk_level(walk, &level, status);
}

static int walk_root(struct walk *walk)
{
	const char *name = walk->flags & FTW_CHDIR ? name_of(walk) : text_of(walk);
	struct stat status;
	int kind = judge(walk, AT_FDCWD, *name ? name : ".", &status);
	int result;

	if (kind == FTW_NS)
		return fail(walk, -errno);
	if (kind < 0)
		return fail(walk, kind);
	if (kind == FTW_D) {
		walk->device = status.st_dev;
		result = walk_new_folder(walk, NULL, &status);
	} else {
		result = report(walk, &status, kind);
	}
	return skips(walk, result, FTW_SKIP_SUBTREE) || skips(walk, result, FTW_SKIP_SIBLINGS) ?
	       0 : result;
}

/* Into the folder that the root's name is in, and back at the end. */
static int walk_root_from_its_folder(struct walk *walk)
{
	OWN_FD before = path_open(AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	int result = before < 0 ? before : 0;
	char *name = name_of(walk);

	if (walk->streams_left > 1)
		walk->streams_left--;
	if (result == 0 && walk->place.base == 1) {
		result = place_enter("/");
	} else if (result == 0 && walk->place.base > 1) {
		name[-1] = '\0';
		result = place_enter(text_of(walk));
		name[-1] = '/';
	}
	result = result < 0 ? fail(walk, result) : walk_root(walk);
	if (before >= 0)
		place_enter_fd(before);
	return result;
}

static int set_root(struct walk *walk, const char *path)
{
	size_t length = strlen(path);
	int result = pages_grow(&walk->path, length + 2);

	if (result < 0)
		return fail(walk, result);
	memcpy(text_of(walk), path, length + 1);
	while (length > 1 && text_of(walk)[length - 1] == '/')
		text_of(walk)[--length] = '\0';
	while (length > 0 && text_of(walk)[length - 1] != '/')
		length--;
	walk->place.base = (int)length;
	return 0;
}

static int walk_ours(const char *call, const char *path, struct walk *walk)
{
	int result = set_root(walk, path);

	if (result == 0)
		result = walk->flags & FTW_CHDIR ? walk_root_from_its_folder(walk) :
		                                   walk_root(walk);
	pages_deinit(&walk->path);
	pages_deinit(&walk->seen);
	if (walk->error)
		return export_named(call, path, walk->error);
	trace_name(call, path, result);
	return result;
}

EXPORT int ftw(const char *dir, __ftw_func_t func, int descriptors)
{
	struct walk walk = {.ftw = func, .streams_left = descriptors < 1 ? 1 : descriptors};

	if (way_is_foreign(AT_FDCWD, dir))
		return REAL(ftw)(dir, func, descriptors);
	return walk_ours("ftw", dir, &walk);
}

EXPORT int nftw(const char *dir, __nftw_func_t func, int descriptors, int flags)
{
	const int known = FTW_PHYS | FTW_MOUNT | FTW_CHDIR | FTW_DEPTH | FTW_ACTIONRETVAL;
	struct walk walk = {
		.nftw = func,
		.flags = flags,
		.streams_left = descriptors < 1 ? 1 : descriptors,
	};

	if (way_is_foreign(AT_FDCWD, dir) || (flags & ~known))
		return REAL(nftw)(dir, func, descriptors, flags);
	return walk_ours("nftw", dir, &walk);
}

WIDE_SAME(struct stat, struct stat64);
EXPORT_WIDE(ftw64, ftw);
EXPORT_WIDE(nftw64, nftw);
