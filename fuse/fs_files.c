/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Open files. With passthrough the kernel reads, writes and maps the anonymous file itself.
 * Without, reads and writes come here, one by one and uncached (direct I/O), so that they agree
 * with every mapping of the anonymous file; a shared mapping the kernel then refuses, with ENODEV,
 * but who has our library asks for a token and maps the anonymous file. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/token.h"
#include "fuse/fs_i.h"
#include "fuse/journal.h"

/* The anonymous file, or -ESTALE. Whether it was opened for this the kernel has seen to. */
static int file_of(fuse_req_t req, fuse_ino_t ino)
{
	struct store_node *node = store_node_find(fs_of(req)->store, ino);

	return node ? store_node_file(node) : -ESTALE;
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
	const struct journal_turn *turn = &store_journal(store)->header->turn;
	struct stat status;

	if (store_turn_is_again(store) && turn->append_at != UINT64_MAX &&
	    file_holds(file, part->iov_base, part->iov_len, (off_t)turn->append_at))
		return (ssize_t)part->iov_len;
	if (fstat(file, &status) < 0)
		return -1;
	JOURNAL_SET(store_journal(store), turn->append_at, (uint64_t)status.st_size);
	return pwritev2(file, part, 1, 0, RWF_APPEND);
}

static int64_t write_once(fuse_req_t req, int file, const struct iovec *part, off_t offset,
                          bool appends)
{
	struct store *store = fs_of(req)->store;
	int64_t written;

	if (store_turn_done(store, &written))
		return written;
	fs_strip_set_id(fs_of(req), file);
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
	struct store_node *node = fs_node(req, ino);
	int file = node ? store_node_file(node) : -ESTALE;
	int64_t result = file;

	(void)info;
	if (file >= 0 && !store_turn_done(store, &result)) {
		fs_strip_set_id(fs_of(req), file);
		result = store_node_allocate(node, mode, offset, length);
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

/* The open file's access came with the open, and the kernel has it in the handle. */
void fs_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int command, void *argument,
              struct fuse_file_info *info, unsigned flags, const void *given, size_t given_size,
              size_t room)
{
	struct fs *fs = fs_of(req);
	struct store_node *node = fs_node(req, ino);
	uint64_t halves[2];
	int result = -ENOTTY;

	(void)argument, (void)flags, (void)given, (void)given_size;
	if (command == SHMEMU_IOC_TOKEN && node && store_node_type(node) == S_IFREG &&
	    fs->tokens && room >= sizeof halves)
		result = token_make(fs->tokens, ino, (int)(info->fh & O_ACCMODE), halves);
	if (result < 0)
		fuse_reply_err(req, -result);
	else
		fuse_reply_ioctl(req, 0, halves, sizeof halves);
}
