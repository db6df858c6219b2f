/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names come, go and move. The kernel has judged the rights (default_permissions) by what it last
 * saw; the store knows what is there now. What a killed worker has done to names already the store
 * finds by their cookies. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/name.h"
#include "fuse/creator.h"
#include "fuse/fs_i.h"
#include "fuse/judge.h"

int fs_folder(const struct fs *fs, fuse_ino_t ino, struct store_node **ret_folder)
{
	struct store_node *node = store_node_find(fs->store, ino);

	if (!node)
		return -ENOENT;
	if (store_node_type(node) != S_IFDIR)
		return -ENOTDIR;
	*ret_folder = node;
	return 0;
}

void fs_reply_entry(fuse_req_t req, struct store_node *node)
{
	struct fuse_entry_param entry = {.ino = store_node_ino(node)};
	int result = store_node_stat(node, &entry.attr);

	if (result < 0) {
		fuse_reply_err(req, -result);
		return;
	}
	entry.entry_timeout = fs_name_kept(fs_of(req));
	entry.attr_timeout = fs_attributes_kept(fs_of(req), &entry.attr);
	fuse_reply_entry(req, &entry);
}

static void reply_node(fuse_req_t req, int result, struct store_node *node)
{
	if (result < 0)
		fuse_reply_err(req, -result);
	else
		fs_reply_entry(req, node);
}

/* "." and ".." are asked for by those who open by handle: "." of whatever it is. */
static int look_up(const struct fs *fs, fuse_ino_t parent, const char *name,
                   struct store_node **ret_node)
{
	struct store_node *folder = NULL;
	struct store_node *node;
	int result = 0;

	if (strcmp(name, ".") == 0) {
		node = store_node_find(fs->store, parent);
	} else {
		result = strlen(name) > NAME_LENGTH_MAX ? -ENAMETOOLONG
		                                        : fs_folder(fs, parent, &folder);
		if (result < 0)
			return result;
		node = strcmp(name, "..") == 0 ? store_node_parent(folder)
		                               : store_lookup(fs->store, folder, name);
	}
	*ret_node = node;
	return node ? 0 : -ENOENT;
}

void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct store_node *node = NULL;
	int result = look_up(fs_of(req), parent, name, &node);

	reply_node(req, result, node);
}

/* Nothing is kept for what the kernel looked up: see inodes.c. */
void fs_forget(fuse_req_t req, fuse_ino_t ino, uint64_t times)
{
	(void)ino, (void)times;
	fuse_reply_none(req);
}

void fs_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	(void)count, (void)forgets;
	fuse_reply_none(req);
}

/* Whatever its kind; `device` is for device nodes. */
static void make(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct store_birth birth = {
		.mode = mode & (S_IFMT | 07777),
		.uid = ctx->uid,
		.gid = ctx->gid,
		.device = device,
	};
	struct store_node *folder;
	struct store_node *node = NULL;
	int result = fs_folder(fs_of(req), parent, &folder);

	if (result == 0) {
		birth.creator = creator_describe(ctx->pid, ctx->uid);
		result = store_create(fs_of(req)->store, folder, name, &birth, &node);
	}
	reply_node(req, result, node);
}

void fs_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
	make(req, parent, name, mode, device);
}

void fs_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	make(req, parent, name, S_IFDIR | (mode & 07777), 0);
}

/* The kernel has judged what it found by this name. By the socket door the name may have come to
 * lead to somebody else's since: the sticky folder's rule is asked once more, of what is there
 * now. */
static int judge_sticky(fuse_req_t req, struct store_node *folder, struct store_node *node)
{
	struct store_actor asker = fs_asker(fs_of(req));
	struct stat holder;
	struct stat held;
	int result = asker.uid == 0 ? 0 : store_node_stat(folder, &holder);

	if (asker.uid == 0 || result < 0 || !(holder.st_mode & S_ISVTX) ||
	    holder.st_uid == asker.uid)
		return result;
	result = store_node_stat(node, &held);
	return result < 0 || judge_is_owner(&asker, &held) ? result : -EPERM;
}

static int judge_removal(fuse_req_t req, struct store_node *folder, struct store_node *node,
                         bool is_folder)
{
	bool found_folder = store_node_type(node) == S_IFDIR;

	if (found_folder != is_folder)
		return is_folder ? -ENOTDIR : -EISDIR;
	return judge_sticky(req, folder, node);
}

static int remove_name(fuse_req_t req, fuse_ino_t parent, const char *name, bool is_folder)
{
	struct fs *fs = fs_of(req);
	struct stat looked;
	struct store_node *folder;
	struct store_node *node;
	int result = fs_folder(fs, parent, &folder);

	if (result < 0)
		return result;
	node = store_lookup(fs->store, folder, name);
	if (node)
		result = judge_removal(req, folder, node, is_folder);
	if (result < 0)
		return result;
	looked = fs_removed_look(node);
	result = store_unlink(fs->store, folder, name);
	fs_removed_note(fs, &looked);
	return result;
}

void fs_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	fs_reply_result(req, remove_name(req, parent, name, false));
}

void fs_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	fs_reply_result(req, remove_name(req, parent, name, true));
}

/* Once: when a killed worker has moved them already, others are there to be judged. */
static int judge_move(fuse_req_t req, struct store_node *folder, const char *name,
                      struct store_node *new_folder, const char *new_name)
{
	struct store *store = fs_of(req)->store;
	struct store_node *moved = store_lookup(store, folder, name);
	struct store_node *replaced = store_lookup(store, new_folder, new_name);
	int64_t result = 0;

	if (store_turn_done(store, &result))
		return (int)result;
	if (moved)
		result = judge_sticky(req, folder, moved);
	if (result == 0 && replaced)
		result = judge_sticky(req, new_folder, replaced);
	store_turn_did(store, result);
	return (int)result;
}

void fs_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
               const char *new_name, unsigned int flags)
{
	struct fs *fs = fs_of(req);
	struct store_actor asker = fs_asker(fs);
	struct stat looked = {.st_ino = 0};
	struct store_node *folder;
	struct store_node *new_folder;
	int result = fs_folder(fs, parent, &folder);

	if (result == 0)
		result = fs_folder(fs, new_parent, &new_folder);
	if (result == 0)
		result = judge_move(req, folder, name, new_folder, new_name);
	if (result == 0) {
		looked = fs_removed_look(store_lookup(fs->store, new_folder, new_name));
		result = store_rename(fs->store, folder, name, new_folder, new_name, flags,
		                      &asker);
	}
	fs_removed_note(fs, &looked);
	fs_reply_result(req, result);
}
