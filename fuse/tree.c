/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* After Linux's do_open, filename_create, vfs_link, do_unlinkat, do_rmdir and do_renameat2. */
#include "fuse/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include "fuse/judge.h"
#include "fuse/store_i.h"
#include "fuse/walk.h"

enum { LISTABLE_DEPTH = 64 };

static bool is_folder_node(const struct store_node *node)
{
	return S_ISDIR(store_node_type(node));
}

int tree_check_found(const struct walk *walk)
{
	if (!walk->node)
		return walk->too_long ? -ENAMETOOLONG : -ENOENT;
	return walk->slash && !is_folder_node(walk->node) ? -ENOTDIR : 0;
}

/* Where a path that makes something ends with a slash, or with no name at all, open(2) sees a
 * folder. */
static int check_creating_end(const struct walk *walk, int flags)
{
	if (!(flags & O_CREAT) || (walk->last == WALK_NAME && !walk->slash))
		return 0;
	return walk->last != WALK_NAME && (flags & O_EXCL) ? -EEXIST : -EISDIR;
}

int tree_open(struct store *store, const struct store_actor *actor, struct walk *walk, int flags,
              const struct store_birth *birth, bool *ret_created)
{
	struct store_node *node;
	int result = store_check_open_flags(&flags);

	*ret_created = false;
	if (result == 0)
		result = check_creating_end(walk, flags);
	if (result == 0)
		result = walk_check_name(walk);
	if (result < 0)
		return result;
	if ((flags & O_TMPFILE) == O_TMPFILE && !(flags & O_PATH)) {
		result = tree_check_found(walk);
		return result < 0 ? result :
			store_open_nameless(store, actor, walk->node, flags, birth);
	}
	if (walk->slash)
		flags |= O_DIRECTORY;
	if (walk->last != WALK_NAME)
		return store_open_folder(store, actor, walk->node, flags);
	result = store_open(store, actor, walk->folder, walk->name, flags, birth, &node,
	                    ret_created);
	if (result >= 0)
		walk->node = node;
	return result;
}

/* The end of a path under which something is to appear. */
static int check_new_end(const struct walk *walk, bool is_folder)
{
	if (walk->last != WALK_NAME || walk->node)
		return -EEXIST;
	return walk->slash && !is_folder && !walk->too_long ? -ENOENT : walk_check_name(walk);
}

/* Device nodes are root's to make, all but a whiteout. */
static int check_device(const struct store_actor *actor, const struct store_birth *birth)
{
	if (!S_ISCHR(birth->mode) && !S_ISBLK(birth->mode))
		return 0;
	if (S_ISCHR(birth->mode) && birth->device == 0)
		return 0;
	return judge_has_capability(actor, CAP_MKNOD) ? 0 : -EPERM;
}

int tree_make(struct store *store, const struct store_actor *actor, struct walk *walk,
              const struct store_birth *birth)
{
	struct store_birth judged = *birth;
	struct store_node *node = NULL;
	int result;

	if (walk->last == WALK_NAME && store_made_before(store, walk->folder, walk->name))
		return 0;
	result = check_new_end(walk, S_ISDIR(birth->mode));
	if (result == 0)
		result = store_judge_birth(actor, walk->folder, &judged);
	if (result == 0)
		result = check_device(actor, birth);
	return result < 0 ? result : store_create(store, walk->folder, walk->name, &judged, &node);
}

/* fs.protected_hardlinks: whoever does not own a file may give it names only if it could as well
 * have a copy. */
static int check_hardlink(const struct store *store, const struct store_actor *actor,
                          const struct stat *status)
{
	mode_t group = S_ISGID | S_IXGRP;
	bool safe = S_ISREG(status->st_mode) && !(status->st_mode & S_ISUID) &&
	            (status->st_mode & group) != group &&
	            judge_access(actor, status, JUDGE_READ | JUDGE_WRITE) == 0;

	if (!store->protected.hardlinks || safe || judge_is_owner(actor, status))
		return 0;
	return -EPERM;
}

int tree_link(struct store *store, const struct store_actor *actor, struct walk *from,
              struct walk *to)
{
	struct store_birth none = {.mode = S_IFREG};
	struct stat status;
	int result = tree_check_found(from);

	if (result == 0 && to->last == WALK_NAME &&
	    store_made_before(store, to->folder, to->name) == from->node)
		return 0;
	if (result == 0)
		result = check_new_end(to, false);
	if (result == 0)
		result = store_node_stat(from->node, &status);
	if (result == 0)
		result = check_hardlink(store, actor, &status);
	if (result == 0)
		result = store_judge_birth(actor, to->folder, &none);
	return result < 0 ? result : store_link(store, from->node, to->folder, to->name);
}

static int link_nameless(struct store *store, const struct store_actor *actor, int file,
                         const struct store_creator *creator, struct walk *to)
{
	struct store_birth none = {.mode = S_IFREG};
	struct stat status;
	int result = check_new_end(to, false);

	if (result == 0 && fstat(file, &status) < 0)
		result = -errno;
	/* Somebody has made it by the kernel, in a folder of ours. */
	if (result == 0 && status.st_nlink)
		result = -EXDEV;
	if (result == 0)
		result = check_hardlink(store, actor, &status);
	if (result == 0)
		result = store_judge_birth(actor, to->folder, &none);
	return result < 0 ? result : store_adopt(store, file, creator, to->folder, to->name);
}

int tree_link_file(struct store *store, const struct store_actor *actor, int file,
                   const struct store_creator *creator, struct walk *to)
{
	struct walk from = {.last = WALK_NAME};
	int result;

	if (to->last == WALK_NAME && store_made_before(store, to->folder, to->name))
		return 0;
	result = store_identify(store, file, &from.node);
	if (result < 0)
		return result;
	return from.node ? tree_link(store, actor, &from, to) :
	                   link_nameless(store, actor, file, creator, to);
}

bool tree_is_listable(const struct store_actor *actor, const struct store_node *folder)
{
	mode_t want = JUDGE_READ | JUDGE_SEARCH;
	struct stat status;

	for (int depth = 0; depth < LISTABLE_DEPTH; depth++) {
		if (!folder || store_node_stat(folder, &status) < 0 ||
		    judge_access(actor, &status, want) < 0)
			return false;
		if (store_node_ino(folder) == STORE_ROOT_INO)
			return true;
		want = JUDGE_SEARCH;
		folder = store_node_parent(folder);
	}
	return false;
}

static int check_removed_end(const struct walk *walk, bool is_folder)
{
	if (!is_folder && walk->last != WALK_NAME)
		return -EISDIR;
	switch (walk->last) {
	case WALK_DOT: return -EINVAL;
	case WALK_DOT_DOT: return -ENOTEMPTY;
	case WALK_ITSELF: return -EBUSY;
	case WALK_NAME: break;
	}
	if (is_folder || !walk->slash || walk->too_long)
		return walk_check_name(walk);
	if (!walk->node)
		return -ENOENT;
	return is_folder_node(walk->node) ? -EISDIR : -ENOTDIR;
}

int tree_remove(struct store *store, const struct store_actor *actor, struct walk *walk,
                bool is_folder, uint64_t ino)
{
	int result = check_removed_end(walk, is_folder);

	return result < 0 ? result :
		store_remove(store, actor, walk->folder, walk->name, is_folder, ino);
}

/* What can be said of the two names before anybody's rights are looked at. */
static int check_names(const struct walk *from, const struct walk *to, unsigned flags)
{
	if (from->last != WALK_NAME)
		return -EBUSY;
	if (to->last != WALK_NAME)
		return flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	if (from->too_long || !from->node)
		return from->too_long ? -ENAMETOOLONG : -ENOENT;
	if (to->too_long || !to->folder->links)
		return to->too_long ? -ENAMETOOLONG : -ENOENT;
	if ((flags & RENAME_NOREPLACE) && to->node)
		return -EEXIST;
	if ((flags & RENAME_EXCHANGE) && !to->node)
		return -ENOENT;
	if ((flags & RENAME_EXCHANGE) && to->slash && !is_folder_node(to->node))
		return -ENOTDIR;
	if (!is_folder_node(from->node) &&
	    (from->slash || (!(flags & RENAME_EXCHANGE) && to->slash)))
		return -ENOTDIR;
	if (is_folder_node(from->node) && folder_is_below(to->folder, from->node))
		return -EINVAL;
	if (to->node && is_folder_node(to->node) && folder_is_below(from->folder, to->node))
		return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	return 0;
}

static int judge_taking(const struct store_actor *actor, const struct walk *walk,
                        const struct stat *folder)
{
	struct stat status;
	int result = store_node_stat(walk->node, &status);

	return result < 0 ? result : judge_remove(actor, folder, &status);
}

/* Its ".." changes: it must be writable. */
static int judge_turning(const struct store_actor *actor, const struct store_node *node)
{
	struct stat status;
	int result;

	if (!is_folder_node(node))
		return 0;
	result = store_node_stat(node, &status);
	return result < 0 ? result : judge_access(actor, &status, JUDGE_WRITE);
}

static int check_kinds(const struct walk *from, const struct walk *to)
{
	if (is_folder_node(from->node) && !is_folder_node(to->node))
		return -ENOTDIR;
	return !is_folder_node(from->node) && is_folder_node(to->node) ? -EISDIR : 0;
}

static int judge_move(const struct store_actor *actor, const struct walk *from,
                      const struct walk *to, unsigned flags)
{
	struct stat old_folder;
	struct stat new_folder;
	int result = store_node_stat(from->folder, &old_folder);

	if (result == 0)
		result = store_node_stat(to->folder, &new_folder);
	if (result == 0)
		result = judge_taking(actor, from, &old_folder);
	if (result == 0 && !to->node)
		result = judge_add(actor, &new_folder);
	else if (result == 0)
		result = judge_taking(actor, to, &new_folder);
	if (result == 0 && to->node && !(flags & RENAME_EXCHANGE))
		result = check_kinds(from, to);
	if (result == 0 && from->folder != to->folder)
		result = judge_turning(actor, from->node);
	if (result == 0 && from->folder != to->folder && (flags & RENAME_EXCHANGE))
		result = judge_turning(actor, to->node);
	return result;
}

int tree_rename(struct store *store, const struct store_actor *actor, struct walk *from,
                struct walk *to, unsigned flags)
{
	int result = store_check_rename_flags(flags);

	if (result == 0 && store_has_moved(store))
		return 0;
	if (result == 0)
		result = check_names(from, to, flags);
	if (result == 0 && from->node == to->node)
		return 0;
	if (result == 0)
		result = judge_move(actor, from, to, flags);
	return result < 0 ? result :
		store_rename(store, from->folder, from->name, to->folder, to->name, flags, actor);
}
