/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fts, where one of its trees begins in the store. The order of things is glibc's, and when the
 * working folder changes; but each entry has a path of its own. fts_set is libc's own: it writes to
 * the entry and to nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "preload/dirs.h"
#include "preload/export.h"
#include "preload/heap.h"
#include "preload/paths.h"
#include "preload/place.h"
#include "preload/real.h"
#include "preload/way.h"

typedef int order_of(const FTSENT **left, const FTSENT **right);

/* In fts_options: the walk is ours. */
enum { OURS = 1 << 30 };

/* What a folder is read for. */
enum { FOR_NAMES, FOR_CHILDREN, FOR_READING };

static bool has(const FTS *walk, int option)
{
	return walk->fts_options & option;
}

static void stop(FTS *walk, int error)
{
	walk->fts_options |= FTS_STOP;
	export_result(error);
}

static bool is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* One block: the entry and its name, what stat says, the path. FOLDER "/" NAME, or without a folder
 * the name alone. NULL and errno: ENOMEM, or ENAMETOOLONG for what fts_pathlen can't tell. */
static FTSENT *make_entry(const FTS *walk, const FTSENT *folder, const char *name)
{
	size_t length = strlen(name);
	size_t folder_length = folder ? folder->fts_pathlen : 0;
	bool has_slash = folder_length && folder->fts_path[folder_length - 1] == '/';
	size_t path_length = folder_length + (folder_length && !has_slash) + length;
	size_t stat_at = (offsetof(FTSENT, fts_name) + length + 1 + 15) & ~(size_t)15;
	FTSENT *entry;

	if (path_length > USHRT_MAX) {
		export_result(-ENAMETOOLONG);
		return NULL;
	}
	entry = heap_take(stat_at + sizeof(struct stat) + path_length + 1);
	if (!entry)
		return NULL;
	memset(entry, 0, stat_at + sizeof(struct stat));
	memcpy(entry->fts_name, name, length + 1);
	entry->fts_namelen = (unsigned short)length;
	if (!has(walk, FTS_NOSTAT))
		entry->fts_statp = (struct stat *)((char *)entry + stat_at);
	entry->fts_path = (char *)entry + stat_at + sizeof(struct stat);
	entry->fts_accpath = entry->fts_path;
	entry->fts_pathlen = (unsigned short)path_length;
	if (folder_length)
		memcpy(entry->fts_path, folder->fts_path, folder_length);
	if (folder_length && !has_slash)
		entry->fts_path[folder_length] = '/';
	memcpy(entry->fts_path + path_length - length, name, length + 1);
	entry->fts_instr = FTS_NOINSTR;
	return entry;
}

static void free_entries(FTSENT *entry)
{
	while (entry) {
		FTSENT *next = entry->fts_link;

		heap_give(entry);
		entry = next;
	}
}

static unsigned short judge_folder(FTSENT *entry, const struct stat *status)
{
	entry->fts_dev = status->st_dev;
	entry->fts_ino = status->st_ino;
	entry->fts_nlink = status->st_nlink;
	if (is_dot(entry->fts_name))
		return FTS_DOT;
	for (FTSENT *above = entry->fts_parent; above->fts_level >= FTS_ROOTLEVEL;
	     above = above->fts_parent) {
		if (above->fts_ino == status->st_ino && above->fts_dev == status->st_dev) {
			entry->fts_cycle = above;
			return FTS_DC;
		}
	}
	return FTS_D;
}

/* fts_info of what the entry's path leads to. */
static unsigned short judge(const FTS *walk, FTSENT *entry, bool follow)
{
	struct stat room;
	struct stat *status = entry->fts_statp ? entry->fts_statp : &room;
	bool follows = follow || has(walk, FTS_LOGICAL);
	int result = path_stat(AT_FDCWD, entry->fts_accpath, status,
	                       follows ? 0 : AT_SYMLINK_NOFOLLOW);

	if (result < 0 && follows &&
	    path_stat(AT_FDCWD, entry->fts_accpath, status, AT_SYMLINK_NOFOLLOW) == 0)
		return FTS_SLNONE;
	if (result < 0) {
		entry->fts_errno = -result;
		memset(status, 0, sizeof *status);
		return FTS_NS;
	}
	if (S_ISDIR(status->st_mode))
		return judge_folder(entry, status);
	if (S_ISLNK(status->st_mode))
		return FTS_SL;
	return S_ISREG(status->st_mode) ? FTS_F : FTS_DEFAULT;
}

/* Sorts a list as the program has it, if it has: the list's new head. */
static FTSENT *sort(FTS *walk, FTSENT *head, size_t count)
{
	FTSENT **entries = NULL;
	size_t i = 0;

	if (walk->fts_compar && count > 1)
		entries = heap_take(count * sizeof *entries);
	if (!entries)
		return head;
	for (FTSENT *entry = head; entry; entry = entry->fts_link)
		entries[i++] = entry;
	qsort(entries, count, sizeof *entries, walk->fts_compar);
	for (i = 0; i < count; i++)
		entries[i]->fts_link = i + 1 < count ? entries[i + 1] : NULL;
	head = entries[0];
	heap_give(entries);
	return head;
}

/* Without stat, what is no folder need not be looked at. */
static bool needs_look(const FTS *walk, int purpose, const struct dirent *found)
{
	if (purpose == FOR_NAMES)
		return false;
	return !has(walk, FTS_NOSTAT) || !has(walk, FTS_PHYSICAL) || found->d_type == DT_DIR ||
	       found->d_type == DT_UNKNOWN;
}

/* Returns how many are in the list, or -errno; what there is of the list is the caller's. */
static long read_entries(FTS *walk, DIR *dir, int purpose, FTSENT **tail)
{
	FTSENT *folder = walk->fts_cur;
	struct dirent *found;
	long count = 0;

	while (dir_next(dir, &found) > 0) {
		FTSENT *entry;

		if (is_dot(found->d_name) && !has(walk, FTS_SEEDOT))
			continue;
		entry = make_entry(walk, folder, found->d_name);
		if (!entry)
			return -errno;
		entry->fts_parent = folder;
		entry->fts_level = (short)(folder->fts_level + 1);
		entry->fts_info = FTS_NSOK;
		if (!has(walk, FTS_NOCHDIR))
			entry->fts_accpath = entry->fts_name;
		if (needs_look(walk, purpose, found))
			entry->fts_info = judge(walk, entry, false);
		*tail = entry;
		tail = &entry->fts_link;
		count++;
	}
	return count;
}

/* 1: the folder is the working folder now; 0: it need not be; or -errno. */
static int go_inside(FTS *walk, DIR *dir, int purpose)
{
	FTSENT *folder = walk->fts_cur;
	int result;

	if (has(walk, FTS_NOCHDIR) || purpose == FOR_NAMES)
		return 0;
	result = place_enter_fd(dir_fd(dir));
	if (result == 0)
		return 1;
	if (purpose == FOR_READING)
		folder->fts_errno = -result;
	folder->fts_flags |= FTS_DONTCHDIR;
	return result;
}

/* Out of a folder into the one that it is in. */
static int go_outside(FTS *walk, FTSENT *folder)
{
	int result;

	if (has(walk, FTS_NOCHDIR))
		return 0;
	if (folder->fts_level == FTS_ROOTLEVEL)
		return place_enter_fd(walk->fts_rfd);
	if (folder->fts_flags & FTS_SYMFOLLOW) {
		result = place_enter_fd(folder->fts_symfd);
		fd_close_at(&folder->fts_symfd);
		folder->fts_flags &= (unsigned short)~FTS_SYMFOLLOW;
		return result;
	}
	return folder->fts_flags & FTS_DONTCHDIR ? 0 : place_enter("..");
}

static FTSENT *fail_folder(FTS *walk, FTSENT *head, int error)
{
	free_entries(head);
	walk->fts_cur->fts_info = FTS_ERR;
	stop(walk, error);
	return NULL;
}

/* Reads an open folder. What can't be entered counts as empty. */
static long read_inside(FTS *walk, DIR *dir, int purpose, FTSENT **ret_head)
{
	int inside = go_inside(walk, dir, purpose);
	long count = inside < 0 ? 0 : read_entries(walk, dir, purpose, ret_head);
	int result = 0;

	if (inside < 0)
		export_result(inside);
	if (count >= 0 && inside > 0 && (purpose == FOR_CHILDREN || !count))
		result = go_outside(walk, walk->fts_cur);
	return result < 0 ? result : count;
}

/* What is in the current folder. NULL: nothing, and the entry says why, or the walk is stopped. */
static FTSENT *read_folder(FTS *walk, int purpose)
{
	FTSENT *folder = walk->fts_cur;
	FTSENT *head = NULL;
	DIR *dir;
	long count = dir_open(AT_FDCWD, folder->fts_accpath, &dir);

	if (count < 0) {
		if (purpose == FOR_READING) {
			folder->fts_info = FTS_DNR;
			folder->fts_errno = (int)-count;
		}
		export_long(count);
		return NULL;
	}
	count = read_inside(walk, dir, purpose, &head);
	dir_close(dir);
	if (count < 0)
		return fail_folder(walk, head, (int)count);
	if (!count && purpose == FOR_READING)
		folder->fts_info = FTS_DP;
	return sort(walk, head, (size_t)count);
}

static void drop_child(FTS *walk)
{
	free_entries(walk->fts_child);
	walk->fts_child = NULL;
}

/* A root's name is the last part of its path. */
static void show_root(FTS *walk, FTSENT *entry)
{
	const char *slash = strrchr(entry->fts_name, '/');

	walk->fts_dev = entry->fts_dev;
	if (!slash || (slash == entry->fts_name && !slash[1]))
		return;
	entry->fts_namelen = (unsigned short)strlen(slash + 1);
	memmove(entry->fts_name, slash + 1, entry->fts_namelen + 1U);
}

static FTSENT *show(FTS *walk, FTSENT *entry)
{
	walk->fts_cur = entry;
	walk->fts_path = entry->fts_path;
	return entry;
}

static FTSENT *stop_at(FTS *walk, int error)
{
	stop(walk, error);
	return NULL;
}

/* With instruction FTS_FOLLOW: what a link leads to. The way back is not "..". */
static void follow(FTS *walk, FTSENT *entry)
{
	int here;

	entry->fts_info = judge(walk, entry, true);
	if (entry->fts_info != FTS_D || has(walk, FTS_NOCHDIR))
		return;
	here = path_open(AT_FDCWD, ".", O_RDONLY | O_CLOEXEC, 0);
	if (here < 0) {
		entry->fts_errno = -here;
		entry->fts_info = FTS_ERR;
		return;
	}
	entry->fts_symfd = here;
	entry->fts_flags |= FTS_SYMFOLLOW;
}

/* All beside `last` have been: the folder that they are in. */
static FTSENT *go_up(FTS *walk, FTSENT *last)
{
	FTSENT *folder = last->fts_parent;
	int result;

	walk->fts_cur = folder;
	heap_give(last);
	if (folder->fts_level == FTS_ROOTPARENTLEVEL) {
		heap_give(folder);
		walk->fts_cur = NULL;
		errno = 0; /* so a program knows the end from a failure */
		return NULL;
	}
	result = go_outside(walk, folder);
	if (result < 0)
		return stop_at(walk, result);
	folder->fts_info = folder->fts_errno ? FTS_ERR : FTS_DP;
	return show(walk, folder);
}

/* After an entry: the next beside it, or the folder that it is in. */
static FTSENT *go_on(FTS *walk, FTSENT *entry)
{
	FTSENT *next = entry->fts_link;

	while (next && next->fts_level > FTS_ROOTLEVEL && next->fts_instr == FTS_SKIP) {
		heap_give(entry);
		entry = next;
		next = entry->fts_link;
	}
	if (!next)
		return go_up(walk, entry);
	heap_give(entry);
	walk->fts_cur = next;
	if (next->fts_level == FTS_ROOTLEVEL) {
		int result = has(walk, FTS_NOCHDIR) ? 0 : place_enter_fd(walk->fts_rfd);

		if (result < 0)
			return stop_at(walk, result);
		show_root(walk, next);
		return show(walk, next);
	}
	if (next->fts_instr == FTS_FOLLOW) {
		follow(walk, next);
		next->fts_instr = FTS_NOINSTR;
	}
	return show(walk, next);
}

static FTSENT *skip(FTS *walk, FTSENT *folder)
{
	if (folder->fts_flags & FTS_SYMFOLLOW)
		fd_close_at(&folder->fts_symfd);
	folder->fts_flags &= (unsigned short)~FTS_SYMFOLLOW;
	drop_child(walk);
	folder->fts_info = FTS_DP;
	return folder;
}

/* Into a folder whose children the program has seen. */
static void enter_again(FTS *walk, FTSENT *folder)
{
	int result = has(walk, FTS_NOCHDIR) ? 0 : place_enter(folder->fts_accpath);

	if (result == 0)
		return;
	folder->fts_errno = -result;
	folder->fts_flags |= FTS_DONTCHDIR;
	for (FTSENT *child = walk->fts_child; child; child = child->fts_link)
		child->fts_accpath = folder->fts_accpath;
}

static FTSENT *enter(FTS *walk, FTSENT *folder, int instruction)
{
	FTSENT *first;

	if (instruction == FTS_SKIP || (has(walk, FTS_XDEV) && folder->fts_dev != walk->fts_dev))
		return skip(walk, folder);
	if (has(walk, FTS_NAMEONLY)) {
		walk->fts_options &= ~FTS_NAMEONLY;
		drop_child(walk);
	}
	if (walk->fts_child)
		enter_again(walk, folder);
	else
		walk->fts_child = read_folder(walk, FOR_READING);
	first = walk->fts_child;
	if (!first)
		return has(walk, FTS_STOP) ? NULL : folder;
	walk->fts_child = NULL;
	return show(walk, first);
}

EXPORT FTSENT *fts_read(FTS *ftsp)
{
	FTSENT *entry = ftsp->fts_cur;
	int instruction;

	if (!has(ftsp, OURS))
		return REAL(fts_read)(ftsp);
	if (!entry || has(ftsp, FTS_STOP))
		return NULL;
	instruction = entry->fts_instr;
	entry->fts_instr = FTS_NOINSTR;
	if (instruction == FTS_AGAIN) {
		entry->fts_info = judge(ftsp, entry, false);
		return entry;
	}
	if (instruction == FTS_FOLLOW &&
	    (entry->fts_info == FTS_SL || entry->fts_info == FTS_SLNONE)) {
		follow(ftsp, entry);
		return entry;
	}
	return entry->fts_info == FTS_D ? enter(ftsp, entry, instruction) : go_on(ftsp, entry);
}

EXPORT FTSENT *fts_children(FTS *ftsp, int options)
{
	const FTSENT *entry = ftsp->fts_cur;

	if (!has(ftsp, OURS))
		return REAL(fts_children)(ftsp, options);
	if (options && options != FTS_NAMEONLY) {
		export_result(-EINVAL);
		return NULL;
	}
	errno = 0; /* so a program knows an empty folder from a failure */
	if (!entry || has(ftsp, FTS_STOP))
		return NULL;
	if (entry->fts_info == FTS_INIT)
		return entry->fts_link;
	if (entry->fts_info != FTS_D)
		return NULL;
	drop_child(ftsp);
	if (options == FTS_NAMEONLY)
		ftsp->fts_options |= FTS_NAMEONLY;
	ftsp->fts_child = read_folder(ftsp, options == FTS_NAMEONLY ? FOR_NAMES : FOR_CHILDREN);
	return ftsp->fts_child;
}

/* From the current entry, past those beside it, and up. */
EXPORT int fts_close(FTS *ftsp)
{
	FTSENT *entry = ftsp->fts_cur;
	int result;

	if (!has(ftsp, OURS))
		return REAL(fts_close)(ftsp);
	while (entry) {
		FTSENT *next;

		if (entry->fts_flags & FTS_SYMFOLLOW)
			fd_close_at(&entry->fts_symfd);
		next = entry->fts_link ? entry->fts_link :
		               entry->fts_level >= FTS_ROOTLEVEL ? entry->fts_parent : NULL;

		heap_give(entry);
		entry = next;
	}
	drop_child(ftsp);
	result = has(ftsp, FTS_NOCHDIR) ? 0 : place_enter_fd(ftsp->fts_rfd);
	fd_close_at(&ftsp->fts_rfd);
	heap_give(ftsp);
	return export_result(result);
}

/* The roots, in the program's order. NULL and errno. */
static FTSENT *make_roots(FTS *walk, char *const *paths, FTSENT *above)
{
	FTSENT *head = NULL;
	FTSENT **tail = &head;
	size_t count = 0;

	for (; *paths; paths++, count++) {
		FTSENT *entry = **paths ? make_entry(walk, NULL, *paths) : NULL;

		if (!entry) {
			if (!**paths)
				export_result(-ENOENT);
			free_entries(head);
			return NULL;
		}
		entry->fts_parent = above;
		entry->fts_level = FTS_ROOTLEVEL;
		entry->fts_info = judge(walk, entry, has(walk, FTS_COMFOLLOW));
		/* As a root it is a folder like any other. */
		if (entry->fts_info == FTS_DOT)
			entry->fts_info = FTS_D;
		*tail = entry;
		tail = &entry->fts_link;
	}
	return sort(walk, head, count);
}

/* With a current entry that is before the first, so that the first is the next. */
static bool set_roots(FTS *walk, char *const *paths)
{
	FTSENT *above = make_entry(walk, NULL, "");

	walk->fts_cur = above ? make_entry(walk, NULL, "") : NULL;
	if (walk->fts_cur) {
		above->fts_level = FTS_ROOTPARENTLEVEL;
		walk->fts_cur->fts_parent = above;
		walk->fts_cur->fts_info = FTS_INIT;
		walk->fts_cur->fts_link = make_roots(walk, paths, above);
		if (walk->fts_cur->fts_link)
			return true;
	}
	heap_give(walk->fts_cur);
	heap_give(above);
	return false;
}

/* Without a way back the working folder stays. */
static void remember_folder(FTS *walk)
{
	if (!has(walk, FTS_NOCHDIR))
		walk->fts_rfd = path_open(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (walk->fts_rfd < 0)
		walk->fts_options |= FTS_NOCHDIR;
}

static bool any_is_ours(char *const *paths)
{
	for (; *paths; paths++)
		if (!way_is_foreign(AT_FDCWD, *paths))
			return true;
	return false;
}

EXPORT FTS *fts_open(char *const *path_argv, int options, order_of *compar)
{
	FTS *walk;

	if ((options & ~FTS_OPTIONMASK) || !any_is_ours(path_argv))
		return REAL(fts_open)(path_argv, options, compar);
	walk = heap_take(sizeof *walk);
	if (!walk)
		return NULL;
	memset(walk, 0, sizeof *walk);
	walk->fts_compar = (int (*)(const void *, const void *))(uintptr_t)compar;
	walk->fts_options = options | OURS | (options & FTS_LOGICAL ? FTS_NOCHDIR : 0);
	walk->fts_rfd = -1;
	if (set_roots(walk, path_argv)) {
		remember_folder(walk);
		return walk;
	}
	heap_give(walk);
	return NULL;
}

WIDE_SAME(FTS, FTS64);
WIDE_SAME(FTSENT, FTSENT64);
EXPORT_WIDE(fts64_open, fts_open);
EXPORT_WIDE(fts64_read, fts_read);
EXPORT_WIDE(fts64_children, fts_children);
EXPORT_WIDE(fts64_close, fts_close);
