/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Links, hard and symbolic. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "fuse/creator.h"
#include "fuse/fs_i.h"

/* A file whose last name is gone, maybe by the socket door, gets no other, as on tmpfs, but one
 * that was made without any does: which it is the store knows. */
void fs_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fs_of(req);
	struct store_node *node = fs_node(req, ino);
	struct store_node *folder;
	int result = node ? fs_folder(fs, parent, &folder) : -ESTALE;

	if (result == 0)
		result = store_link(fs->store, node, folder, name);
	if (result < 0)
		fuse_reply_err(req, -result);
	else
		fs_reply_entry(req, node);
}

void fs_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct store_birth birth = {
		.mode = S_IFLNK | 0777,
		.uid = ctx->uid,
		.gid = ctx->gid,
		.initial = target,
		.initial_length = strlen(target),
	};
	struct store_node *folder;
	struct store_node *node;
	int result = fs_folder(fs_of(req), parent, &folder);

	if (result == 0) {
		birth.creator = creator_describe(ctx->pid, ctx->uid);
		result = store_create(fs_of(req)->store, folder, name, &birth, &node);
	}
	if (result < 0)
		fuse_reply_err(req, -result);
	else
		fs_reply_entry(req, node);
}

void fs_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct store_node *node = fs_node(req, ino);
	char text[PATH_MAX + 1];
	ssize_t length = node ? store_node_readlink(node, text, sizeof text - 1) : -ESTALE;

	if (length < 0) {
		fuse_reply_err(req, (int)-length);
		return;
	}
	text[length] = '\0';
	fuse_reply_readlink(req, text);
}
