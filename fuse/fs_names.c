/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names in the one folder. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "fuse/creator.h"
#include "fuse/fs_i.h"

static void reply_entry(fuse_req_t req, struct store_node *node)
{
	struct fuse_entry_param entry = {.ino = store_node_ino(node)};
	int result = store_node_stat(node, &entry.attr);

	if (result < 0)
		fuse_reply_err(req, -result);
	else
		fuse_reply_entry(req, &entry);
}

void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct store_node *node;

	if (parent != STORE_ROOT_INO) {
		fuse_reply_err(req, ENOTDIR);
		return;
	}
	if (strlen(name) > NAME_LENGTH_MAX) {
		fuse_reply_err(req, ENAMETOOLONG);
		return;
	}
	node = store_lookup(fs_of(req)->store, name);
	if (node)
		reply_entry(req, node);
	else
		fuse_reply_err(req, ENOENT);
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

void fs_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fs_of(req);
	struct store_node *node = store_node_find(fs->store, ino);
	struct stat status;
	int result = node ? store_node_stat(node, &status) : -ESTALE;

	if (parent != STORE_ROOT_INO)
		result = -ENOTDIR;
	/* The last name is gone, maybe by the socket door: as on tmpfs, no name brings it back. */
	else if (result == 0 && status.st_nlink == 0)
		result = -ENOENT;
	if (result == 0)
		result = store_link(fs->store, node, name);
	if (result < 0)
		fuse_reply_err(req, -result);
	else
		reply_entry(req, node);
}

/* The kernel has judged the file that it found by this name. By the socket door the name may have
 * come to lead to somebody else's since: the sticky folder's rule is asked once more, of what is
 * there now. */
void fs_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct store *store = fs_of(req)->store;
	struct store_actor actor = {.uid = ctx->uid, .gid = ctx->gid};

	if (parent != STORE_ROOT_INO)
		fs_reply_result(req, -ENOTDIR);
	else if (ctx->uid == 0)
		fs_reply_result(req, store_unlink(store, name));
	else
		fs_reply_result(req, store_remove(store, &actor, name, 0));
}

void fs_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct store_birth birth = {.mode = mode & 07777, .uid = ctx->uid, .gid = ctx->gid};
	struct store_node *node;
	int result;

	(void)device;
	if (parent != STORE_ROOT_INO || !S_ISREG(mode)) {
		fuse_reply_err(req, EPERM);
		return;
	}
	birth.creator = creator_describe(ctx->pid, ctx->uid);
	result = store_create(fs_of(req)->store, name, &birth, &node);
	if (result < 0)
		fuse_reply_err(req, -result);
	else
		reply_entry(req, node);
}

/* A flat folder of regular files has none of these; EPERM is what link(2) and its kin say of such a
 * filesystem. */
void fs_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	(void)parent, (void)name, (void)mode;
	fuse_reply_err(req, EPERM);
}

void fs_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	(void)target, (void)parent, (void)name;
	fuse_reply_err(req, EPERM);
}

void fs_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
               const char *new_name, unsigned int flags)
{
	(void)parent, (void)name, (void)new_parent, (void)new_name, (void)flags;
	fuse_reply_err(req, EPERM);
}

/* Nothing is kept between two reads of the folder: the offset says all. Answered, and not left to
 * ENOSYS, for then the kernel would cache the folder. */
void fs_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	if (ino == STORE_ROOT_INO)
		fuse_reply_open(req, info);
	else
		fuse_reply_err(req, ENOTDIR);
}

/* Offsets, each that of the next: "." is at 0, ".." at 1, and files follow by their cookies. */
enum { OFFSET_DOTS = 2 };

struct listing {
	fuse_req_t req;
	char *bytes;
	size_t size;
	size_t used;
};

static bool list_one(struct listing *listing, const char *name, const struct stat *status,
                     off_t next)
{
	char *bytes = listing->bytes + listing->used;
	size_t left = listing->size - listing->used;
	size_t needed = fuse_add_direntry(listing->req, bytes, left, name, status, next);

	if (needed > left)
		return false;
	listing->used += needed;
	return true;
}

static bool list_dots(struct listing *listing, off_t offset)
{
	struct stat root = {.st_ino = STORE_ROOT_INO, .st_mode = S_IFDIR};

	if (offset < 1 && !list_one(listing, ".", &root, 1))
		return false;
	return offset >= OFFSET_DOTS || list_one(listing, "..", &root, OFFSET_DOTS);
}

static void list_files(struct listing *listing, off_t offset)
{
	uint64_t cookie = offset > OFFSET_DOTS ? (uint64_t)(offset - OFFSET_DOTS) : 0;
	const struct store *store = fs_of(listing->req)->store;
	const struct store_entry *entry;

	while ((entry = store_entry_after(store, cookie))) {
		struct stat file = {
			.st_ino = store_node_ino(store_entry_node(entry)),
			.st_mode = S_IFREG,
		};

		cookie = store_entry_cookie(entry);
		if (!list_one(listing, store_entry_name(entry), &file,
		              (off_t)cookie + OFFSET_DOTS))
			return;
	}
}

void fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                struct fuse_file_info *info)
{
	struct listing listing = {.req = req, .bytes = malloc(size), .size = size};

	(void)ino, (void)info;
	if (!listing.bytes) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	if (list_dots(&listing, offset))
		list_files(&listing, offset);
	fuse_reply_buf(req, listing.bytes, listing.used);
	free(listing.bytes);
}
