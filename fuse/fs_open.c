/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening files, and making new ones open. The kernel is told whether it may pass reads, writes and
 * mappings through (see inodes.c), and keeps with the open file what access it has. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "fuse/creator.h"
#include "fuse/fs_i.h"

static int truncate_at_open(struct fs *fs, struct store_node *node)
{
	int64_t result;
	int file;

	if (store_turn_done(fs->store, &result))
		return (int)result;
	file = store_node_file(node);
	if (file >= 0)
		fs_strip_set_id(fs, file);
	result = file < 0 ? file : store_node_resize(node, 0);
	store_turn_did(fs->store, result);
	return (int)result;
}

static uint64_t handle_of(int flags)
{
	return (uint64_t)flags & O_ACCMODE;
}

/* Who was interrupted while opening will not send a release, and then this is false. But an answer
 * that a killed worker has sent before is refused too, and that one counts. */
static bool reply_open(fuse_req_t req, const char *answer, size_t size)
{
	bool again = store_turn_is_again(fs_of(req)->store);

	return fuse_reply_buf(req, answer, size) == 0 || again;
}

void fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct fs *fs = fs_of(req);
	char answer[CHANNEL_OPEN_SIZE];
	struct store_node *node = fs_node(req, ino);
	int result = node ? 0 : -ESTALE;

	if (node && store_node_type(node) != S_IFREG)
		result = -ENXIO;
	if (result == 0 && (info->flags & O_TRUNC))
		result = truncate_at_open(fs, node);
	if (result == 0)
		result = inodes_open(&fs->inodes, ino);
	if (result < 0) {
		fuse_reply_err(req, -result);
		return;
	}
	channel_encode_open(result, handle_of(info->flags), answer);
	if (!reply_open(req, answer, sizeof answer))
		inodes_close(&fs->inodes, ino);
}

/* The new node opened for the kernel: a backing id, 0, or -errno. */
static int stat_and_open(struct inodes *inodes, struct store_node *node, struct stat *ret_status)
{
	int result = store_node_stat(node, ret_status);

	return result < 0 ? result : inodes_open(inodes, ret_status->st_ino);
}

static void reply_created(fuse_req_t req, const struct stat *status, int backing, int flags)
{
	struct fs *fs = fs_of(req);
	char answer[CHANNEL_CREATE_SIZE];

	channel_encode_create(status, backing, handle_of(flags), answer);
	channel_encode_kept(fs_name_kept(fs), fs_attributes_kept(fs, status), answer);
	if (!reply_open(req, answer, sizeof answer))
		inodes_close(&fs->inodes, status->st_ino);
}

/* The kernel asks for this when it has found no such name. */
static int create(fuse_req_t req, struct store_node *folder, const char *name, mode_t mode,
                  int flags, struct store_node **ret_node)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct store_birth birth = {
		.mode = S_IFREG | (mode & 07777),
		.uid = ctx->uid,
		.gid = ctx->gid,
		.creator = creator_describe(ctx->pid, ctx->uid),
	};
	int result = store_create(fs_of(req)->store, folder, name, &birth, ret_node);

	/* Somebody was faster, by the socket door. ESTALE makes the kernel look again, and judge
	 * the rights to open it. */
	return result == -EEXIST && !(flags & O_EXCL) ? -ESTALE : result;
}

void fs_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
               struct fuse_file_info *info)
{
	struct fs *fs = fs_of(req);
	struct store_node *folder;
	struct store_node *node;
	struct stat status;
	int result = fs_folder(fs, parent, &folder);

	if (result == 0)
		result = create(req, folder, name, mode, info->flags, &node);
	if (result < 0) {
		fuse_reply_err(req, -result);
		return;
	}
	result = stat_and_open(&fs->inodes, node, &status);
	if (result < 0) {
		store_unlink(fs->store, store_node_find(fs->store, parent), name);
		fuse_reply_err(req, -result);
		return;
	}
	reply_created(req, &status, result, info->flags);
}

void fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct fs *fs = fs_of(req);
	struct stat looked = fs_removed_look(fs_node(req, ino));

	(void)info;
	inodes_close(&fs->inodes, ino);
	fs_removed_note(fs, &looked);
	fuse_reply_err(req, 0);
}

/* A file without a name, open. Its backing id, 0, or -errno. */
static int create_nameless(struct fs *fs, mode_t mode, struct stat *ret_status)
{
	const struct channel_request *request = &fs->request;
	struct store_birth birth = {
		.mode = S_IFREG | mode,
		.uid = request->uid,
		.gid = request->gid,
		.creator = creator_describe(request->pid, request->uid),
	};
	struct store_node *folder;
	struct store_node *node;
	int result = fs_folder(fs, request->node, &folder);

	if (result == 0)
		result = store_create_nameless(fs->store, folder, &birth, &node);
	if (result < 0)
		return result;
	result = store_node_stat(node, ret_status);
	if (result == 0)
		result = inodes_adopt(&fs->inodes, ret_status->st_ino);
	if (result < 0)
		store_node_close(fs->store, node);
	return result;
}

void fs_tmpfile(struct fs *fs, const void *request, size_t size)
{
	char answer[CHANNEL_CREATE_SIZE];
	bool again = store_turn_is_again(fs->store);
	struct stat status;
	mode_t mode;
	int flags;
	int result = channel_decode_tmpfile(request, size, &flags, &mode);

	if (result == 0)
		result = create_nameless(fs, mode, &status);
	if (result < 0) {
		channel_refuse(&fs->channel, fs->request.unique, -result);
		return;
	}
	channel_encode_create(&status, result, handle_of(flags), answer);
	result = channel_answer(&fs->channel, fs->request.unique, answer, sizeof answer);
	if (result < 0 && !again)
		inodes_close(&fs->inodes, status.st_ino);
}
