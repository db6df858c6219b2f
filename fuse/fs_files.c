/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Open files. With passthrough the kernel reads, writes and maps the anonymous file itself and only
 * open, create and release come here. Without, reads and writes come too, one by one and uncached
 * (direct I/O), so that they agree with every mapping of the anonymous file; a shared mapping the
 * kernel then refuses, with ENODEV. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fuse/creator.h"
#include "fuse/fs_i.h"
#include "fuse/journal.h"

/* The anonymous file, or -ESTALE. Whether it was opened for this the kernel has seen to. */
static int file_of(fuse_req_t req, fuse_ino_t ino)
{
	struct store_node *node = store_node_find(fs_of(req)->store, ino);

	return node ? store_node_file(node) : -ESTALE;
}

static int truncate_at_open(fuse_req_t req, int file)
{
	struct store *store = fs_of(req)->store;
	int64_t result;

	if (store_turn_done(store, &result))
		return (int)result;
	fs_strip_set_id(req, file);
	result = ftruncate(file, 0) < 0 ? -errno : 0;
	store_turn_did(store, result);
	return (int)result;
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
	struct inodes *inodes = &fs_of(req)->inodes;
	char answer[CHANNEL_OPEN_SIZE];
	int file = file_of(req, ino);
	int result = file;

	if (result >= 0 && (info->flags & O_TRUNC))
		result = truncate_at_open(req, file);
	if (result >= 0)
		result = inodes_open(inodes, ino);
	if (result < 0) {
		fuse_reply_err(req, -result);
		return;
	}
	channel_encode_open(result, answer);
	if (!reply_open(req, answer, sizeof answer))
		inodes_close(inodes, ino);
}

/* The new node opened for the kernel: a backing id, 0, or -errno. */
static int stat_and_open(struct inodes *inodes, struct store_node *node, struct stat *ret_status)
{
	int result = store_node_stat(node, ret_status);

	return result < 0 ? result : inodes_open(inodes, ret_status->st_ino);
}

static void reply_created(fuse_req_t req, const struct stat *status, int backing)
{
	struct inodes *inodes = &fs_of(req)->inodes;
	char answer[CHANNEL_CREATE_SIZE];

	channel_encode_create(status, backing, answer);
	if (!reply_open(req, answer, sizeof answer))
		inodes_close(inodes, status->st_ino);
}

/* The kernel asks for this when it has found no such name. */
static int create(fuse_req_t req, const char *name, mode_t mode, int flags,
                  struct store_node **ret_node)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct store_birth birth = {
		.mode = mode & 07777,
		.uid = ctx->uid,
		.gid = ctx->gid,
		.creator = creator_describe(ctx->pid, ctx->uid),
	};
	int result = store_create(fs_of(req)->store, name, &birth, ret_node);

	/* Somebody was faster, by the socket door. ESTALE makes the kernel look again, and judge
	 * the rights to open it. */
	return result == -EEXIST && !(flags & O_EXCL) ? -ESTALE : result;
}

void fs_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
               struct fuse_file_info *info)
{
	struct fs *fs = fs_of(req);
	struct store_node *node;
	struct stat status;
	int result = -ENOTDIR;

	if (parent == STORE_ROOT_INO)
		result = create(req, name, mode, info->flags, &node);
	if (result < 0) {
		fuse_reply_err(req, -result);
		return;
	}
	result = stat_and_open(&fs->inodes, node, &status);
	if (result < 0) {
		store_unlink(fs->store, name);
		fuse_reply_err(req, -result);
		return;
	}
	reply_created(req, &status, result);
}

void fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	(void)info;
	inodes_close(&fs_of(req)->inodes, ino);
	fuse_reply_err(req, 0);
}

void fs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
             struct fuse_file_info *info)
{
	int file = file_of(req, ino);
	struct fuse_bufvec source = FUSE_BUFVEC_INIT(size);

	(void)info;
	if (file < 0) {
		fuse_reply_err(req, -file);
		return;
	}
	source.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	source.buf[0].fd = file;
	source.buf[0].pos = offset;
	fuse_reply_data(req, &source, FUSE_BUF_NO_SPLICE);
}

static bool file_holds(int file, const char *bytes, size_t size, off_t offset)
{
	char found[4096];

	for (size_t at = 0; at < size; at += sizeof found) {
		size_t part = size - at < sizeof found ? size - at : sizeof found;

		if (pread(file, found, part, offset + (off_t)at) != (ssize_t)part ||
		    memcmp(found, bytes + at, part) != 0)
			return false;
	}
	return true;
}

/* To append is to write where the file ends now, whatever end the kernel last saw. After a kill the
 * bytes may stand there already, at the end that was noted. */
static ssize_t append(struct store *store, int file, const struct iovec *part)
{
	struct journal_turn *turn = &store_journal(store)->header->turn;
	struct stat status;

	if (store_turn_is_again(store) &&
	    file_holds(file, part->iov_base, part->iov_len, (off_t)turn->append_at))
		return (ssize_t)part->iov_len;
	if (fstat(file, &status) < 0)
		return -1;
	turn->append_at = (uint64_t)status.st_size;
	return pwritev2(file, part, 1, 0, RWF_APPEND);
}

static int64_t write_once(fuse_req_t req, int file, const struct iovec *part, off_t offset,
                          bool appends)
{
	struct store *store = fs_of(req)->store;
	int64_t written;

	if (store_turn_done(store, &written))
		return written;
	fs_strip_set_id(req, file);
	written = appends ? append(store, file, part) : pwritev2(file, part, 1, offset, 0);
	if (written < 0)
		written = -errno;
	store_turn_did(store, written);
	return written;
}

void fs_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
              struct fuse_file_info *info)
{
	struct iovec part = {(void *)(uintptr_t)bytes, size};
	int file = file_of(req, ino);
	int64_t written = file;

	if (file >= 0)
		written = write_once(req, file, &part, offset, info->flags & O_APPEND);
	if (written < 0)
		fuse_reply_err(req, (int)-written);
	else
		fuse_reply_write(req, (size_t)written);
}

void fs_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                  struct fuse_file_info *info)
{
	struct store *store = fs_of(req)->store;
	int file = file_of(req, ino);
	int64_t result = file;

	(void)info;
	if (file >= 0 && !store_turn_done(store, &result)) {
		fs_strip_set_id(req, file);
		result = fallocate(file, mode, offset, length) < 0 ? -errno : 0;
		store_turn_did(store, result);
	}
	fs_reply_result(req, (int)result);
}

/* SEEK_DATA and SEEK_HOLE. The position that this leaves is nobody's: all else names its own. */
void fs_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
              struct fuse_file_info *info)
{
	int file = file_of(req, ino);
	off_t found = file < 0 ? -1 : lseek(file, offset, whence);

	(void)info;
	if (file < 0)
		fuse_reply_err(req, -file);
	else if (found < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_lseek(req, found);
}
