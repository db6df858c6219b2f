/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Passthrough (Linux 6.9): the kernel reads, writes and maps the anonymous file itself. libfuse
 * speaks of it from 3.17 only, but its public interface lets us see every message: INIT is read
 * here on its way in, and its answer gets the flag and the stacking depth on its way out. A file is
 * then handed to the kernel by ioctl, and the backing id that this gives is named in the answer to
 * open.
 *
 * The kernel's own header has these things from 6.9, Debian 12's is older: they are spelt out here,
 * and what the older header has too is held against it. */
#include "fuse/channel.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/own.h"

/* Bit 37 of INIT's flags, which go on in flags2. INIT_STRIPS: set-id bits are ours to take away.
 * Where they are the kernel's it asks for security.capability before each write that is passed
 * through; but then it does not tell chown(2) of neither from such a write. */
enum { INIT_STRIPS = 1 << 28, INIT_EXT = 1 << 30, INIT2_PASSTHROUGH = 1 << (37 - 32) };

/* Who asks for this lacks CAP_FSETID. */
enum { WRITE_STRIPS = 1 << 2, OPEN_STRIPS = 1 << 0, SETATTR_STRIPS = 1 << 11 };

/* No flush: close(2) then has nothing to ask us, and can't fail when we are gone. */
enum { OPEN_DIRECT_IO = 1 << 0, OPEN_NOFLUSH = 1 << 5, OPEN_PASSTHROUGH = 1 << 7 };

enum { FAILURES_MAX = 100, SMALL_ANSWER_SIZE = 256 };

struct init_answer {
	uint32_t major;
	uint32_t minor;
	uint32_t max_readahead;
	uint32_t flags;
	uint16_t max_background;
	uint16_t congestion_threshold;
	uint32_t max_write;
	uint32_t time_gran;
	uint16_t max_pages;
	uint16_t map_alignment;
	uint32_t flags2;
	uint32_t max_stack_depth;
	uint32_t unused[6];
};

_Static_assert(sizeof(struct init_answer) == sizeof(struct fuse_init_out), "struct fuse_init_out");
_Static_assert(offsetof(struct init_answer, flags2) == offsetof(struct fuse_init_out, flags2),
               "struct fuse_init_out");
_Static_assert(offsetof(struct init_answer, max_stack_depth) == 36, "struct fuse_init_out");

struct open_answer {
	uint64_t fh;
	uint32_t open_flags;
	int32_t backing_id; /* padding before 6.9 */
};

_Static_assert(sizeof(struct open_answer) == sizeof(struct fuse_open_out), "struct fuse_open_out");
_Static_assert(sizeof(struct open_answer) == CHANNEL_OPEN_SIZE, "struct fuse_open_out");
_Static_assert(sizeof(struct fuse_entry_out) + sizeof(struct open_answer) == CHANNEL_CREATE_SIZE,
               "struct fuse_entry_out");

/* Linux 6.6. */
struct statx_time {
	int64_t seconds;
	uint32_t nanoseconds;
	int32_t unused;
};

struct statx_answer {
	uint64_t valid;
	uint32_t valid_nanoseconds;
	uint32_t flags;
	uint64_t unused[2];
	uint32_t mask; /* from here on as statx(2) has it */
	uint32_t blksize;
	uint64_t attributes;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint16_t mode;
	uint16_t unused2;
	uint64_t ino;
	uint64_t size;
	uint64_t blocks;
	uint64_t attributes_mask;
	struct statx_time atime, btime, ctime, mtime;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint64_t unused3[14];
};

_Static_assert(sizeof(struct statx_answer) == CHANNEL_STATX_SIZE, "struct fuse_statx_out");

struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};

_Static_assert(sizeof(struct backing_map) == 16, "struct fuse_backing_map");

#define IOCTL_BACKING_OPEN _IOW(229, 1, struct backing_map)
#define IOCTL_BACKING_CLOSE _IOW(229, 2, uint32_t)

void channel_init(struct channel *channel, int fd, bool passthrough)
{
	*channel = (struct channel){.fd = fd, .refusal = passthrough ? 0 : -EOPNOTSUPP};
}

static void note_init(struct channel *channel, const void *bytes, size_t size)
{
	struct fuse_in_header header;
	struct fuse_init_in init;

	if (size < sizeof header + sizeof init)
		return;
	memcpy(&header, bytes, sizeof header);
	if (header.opcode != FUSE_INIT)
		return;
	memcpy(&init, (const char *)bytes + sizeof header, sizeof init);
	channel->init_unique = header.unique;
	channel->offered = (init.flags & INIT_EXT) && (init.flags2 & INIT2_PASSTHROUGH);
	channel->strips = channel->offered && channel->refusal == 0 &&
	                  (init.flags & INIT_STRIPS);
}

/* What was agreed on then depended on what was wanted, not on what became of it. */
void channel_resume(struct channel *channel, int refusal, const void *init, size_t size)
{
	note_init(channel, init, size);
	channel->refusal = refusal;
	channel->answered = true;
}

uint64_t channel_unique(const char *request)
{
	struct fuse_in_header header;

	memcpy(&header, request, sizeof header);
	return header.unique;
}

void channel_refuse(struct channel *channel, uint64_t unique, int error)
{
	struct fuse_out_header header = {
		.len = sizeof header,
		.error = -error,
		.unique = unique,
	};

	/* Nobody waits any more, or nobody can be told. */
	if (write(channel->fd, &header, sizeof header) < 0)
		return;
}

/* The first words of what a request wants; what it is too short for is 0. */
static void decode_body(const void *request, size_t size, void *ret_body, size_t body_size)
{
	size_t left = size > sizeof(struct fuse_in_header) ?
	              size - sizeof(struct fuse_in_header) : 0;

	memset(ret_body, 0, body_size);
	memcpy(ret_body, (const char *)request + sizeof(struct fuse_in_header),
	       left < body_size ? left : body_size);
}

static bool strips(uint32_t operation, const void *request, size_t size)
{
	struct fuse_open_in opened;
	struct fuse_write_in written;
	struct fuse_setattr_in set;

	decode_body(request, size, &opened, sizeof opened);
	decode_body(request, size, &written, sizeof written);
	decode_body(request, size, &set, sizeof set);
	if (operation == FUSE_OPEN)
		return opened.open_flags & OPEN_STRIPS;
	if (operation == FUSE_WRITE)
		return written.write_flags & WRITE_STRIPS;
	return operation == FUSE_SETATTR && (set.valid & SETATTR_STRIPS);
}

struct channel_request channel_decode(const void *request, size_t size)
{
	struct fuse_in_header header = {.opcode = 0};

	if (size >= sizeof header)
		memcpy(&header, request, sizeof header);
	return (struct channel_request){
		.operation = header.opcode,
		.unique = header.unique,
		.node = header.nodeid,
		.uid = header.uid,
		.gid = header.gid,
		.pid = (pid_t)header.pid,
		.strips = strips(header.opcode, request, size),
	};
}

int channel_decode_tmpfile(const void *request, size_t size, int *ret_flags, mode_t *ret_mode)
{
	struct fuse_create_in wanted;

	if (size < sizeof(struct fuse_in_header) + sizeof wanted)
		return -EINVAL;
	decode_body(request, size, &wanted, sizeof wanted);
	*ret_flags = (int)wanted.flags;
	*ret_mode = wanted.mode & 07777;
	return 0;
}

ssize_t channel_read(struct channel *channel, void *bytes, size_t size)
{
	ssize_t got = read(channel->fd, bytes, size);

	/* ENOENT: that request was taken back. Of what else may come only ENODEV, the end of the
	 * connection, is to be expected; the rest may pass, and if it does not that is the end. */
	if (got >= 0 || errno == EAGAIN || errno == EINTR || errno == ENOENT)
		channel->failures = 0;
	else if (errno != ENODEV && ++channel->failures < FAILURES_MAX)
		errno = EAGAIN;
	else
		errno = ENODEV;
	if (got > 0 && !channel->answered)
		note_init(channel, bytes, (size_t)got);
	return got;
}


static ssize_t write_init(struct channel *channel, struct iovec *parts, int count)
{
	struct init_answer answer;

	channel->answered = true;
	if (count != 2 || parts[1].iov_len != sizeof answer) {
		channel->offered = channel->strips = false;
		return writev(channel->fd, parts, count);
	}
	memcpy(&answer, parts[1].iov_base, sizeof answer);
	answer.flags |= channel->strips ? INIT_STRIPS : 0;
	if (channel->offered && channel->refusal == 0) {
		answer.flags |= INIT_EXT;
		answer.flags2 |= INIT2_PASSTHROUGH;
		answer.max_stack_depth = 1;
	}

	struct iovec amended[] = {parts[0], {&answer, sizeof answer}};

	return writev(channel->fd, amended, 2);
}

/* In one piece, if it is small: the kernel looks for each piece's page. */
static ssize_t put(const struct channel *channel, struct iovec *parts, int count)
{
	char whole[SMALL_ANSWER_SIZE];
	size_t size = 0;

	for (int i = 0; i < count; i++) {
		if (parts[i].iov_len > sizeof whole - size)
			return writev(channel->fd, parts, count);
		memcpy(whole + size, parts[i].iov_base, parts[i].iov_len);
		size += parts[i].iov_len;
	}
	return write(channel->fd, whole, size);
}

/* Without any answer whoever asked would wait for ever. */
static ssize_t write_answer(struct channel *channel, struct iovec *parts, int count,
                            uint64_t unique)
{
	ssize_t size = put(channel, parts, count);

	if (size < 0 && errno != ENOENT && errno != ENODEV)
		channel_refuse(channel, unique, EIO);
	return size;
}

static ssize_t swallow(const struct iovec *parts, int count)
{
	ssize_t size = 0;

	for (int i = 0; i < count; i++)
		size += (ssize_t)parts[i].iov_len;
	return size;
}

ssize_t channel_writev(struct channel *channel, struct iovec *parts, int count)
{
	bool is_init = !channel->answered || channel->silent;
	struct fuse_out_header header;
	ssize_t size;

	memcpy(&header, parts[0].iov_base, sizeof header);
	if (channel->silent)
		size = swallow(parts, count);
	else if (!channel->answered && header.unique == channel->init_unique)
		size = write_init(channel, parts, count);
	else
		size = write_answer(channel, parts, count, header.unique);
	if (is_init)
		channel->failed |= header.error || size < 0;
	/* The request was interrupted, or the connection is gone: nobody waits. libfuse prints any
	 * other errno. */
	if (size < 0)
		errno = ENOENT;
	return size;
}

int channel_answer(struct channel *channel, uint64_t unique, const void *bytes, size_t size)
{
	struct fuse_out_header header = {
		.len = (uint32_t)(sizeof header + size),
		.unique = unique,
	};
	struct iovec parts[] = {{&header, sizeof header}, {(void *)(uintptr_t)bytes, size}};

	return channel_writev(channel, parts, 2) < 0 ? -errno : 0;
}

void channel_forget_attributes(struct channel *channel, uint64_t ino)
{
	struct fuse_notify_inval_inode_out what = {.ino = ino, .off = -1};
	struct fuse_out_header header = {
		.len = sizeof header + sizeof what,
		.error = FUSE_NOTIFY_INVAL_INODE,
	};
	struct iovec parts[] = {{&header, sizeof header}, {&what, sizeof what}};

	/* It does not have them, or the connection is gone. */
	if (writev(channel->fd, parts, 2) < 0)
		return;
}

int channel_open_backing(struct channel *channel, int file)
{
	struct backing_map map = {.fd = file};
	int backing = ioctl(channel->fd, IOCTL_BACKING_OPEN, &map);

	return backing < 0 ? -errno : backing;
}

void channel_close_backing(struct channel *channel, int backing)
{
	uint32_t id = (uint32_t)backing;

	ioctl(channel->fd, IOCTL_BACKING_CLOSE, &id);
}

int channel_try_passthrough(struct channel *channel, int file)
{
	int backing = -EOPNOTSUPP;

	if (channel->refusal < 0)
		return channel->refusal;
	if (channel->offered)
		backing = channel_open_backing(channel, file);
	if (backing < 0) {
		channel->refusal = backing;
		return backing;
	}
	channel_close_backing(channel, backing);
	return 0;
}

static struct open_answer open_answer(int backing, uint64_t handle)
{
	return (struct open_answer){
		.fh = handle,
		.open_flags = OPEN_NOFLUSH | (backing ? OPEN_PASSTHROUGH : OPEN_DIRECT_IO),
		.backing_id = backing,
	};
}

void channel_encode_open(int backing, uint64_t handle, char ret_answer[static CHANNEL_OPEN_SIZE])
{
	struct open_answer answer = open_answer(backing, handle);

	memcpy(ret_answer, &answer, sizeof answer);
}

void channel_encode_create(const struct stat *status, int backing, uint64_t handle,
                           char ret_answer[static CHANNEL_CREATE_SIZE])
{
	struct fuse_entry_out entry = {
		.nodeid = status->st_ino,
		.attr = {
			.ino = status->st_ino,
			.size = (uint64_t)status->st_size,
			.blocks = (uint64_t)status->st_blocks,
			.atime = (uint64_t)status->st_atim.tv_sec,
			.mtime = (uint64_t)status->st_mtim.tv_sec,
			.ctime = (uint64_t)status->st_ctim.tv_sec,
			.atimensec = (uint32_t)status->st_atim.tv_nsec,
			.mtimensec = (uint32_t)status->st_mtim.tv_nsec,
			.ctimensec = (uint32_t)status->st_ctim.tv_nsec,
			.mode = status->st_mode,
			.nlink = (uint32_t)status->st_nlink,
			.uid = status->st_uid,
			.gid = status->st_gid,
			.blksize = (uint32_t)status->st_blksize,
		},
	};

	memcpy(ret_answer, &entry, sizeof entry);
	channel_encode_open(backing, handle, ret_answer + sizeof entry);
}

void channel_encode_kept(double name, double attributes, char answer[static CHANNEL_CREATE_SIZE])
{
	struct fuse_entry_out entry;

	memcpy(&entry, answer, sizeof entry);
	entry.entry_valid = (uint64_t)name;
	entry.entry_valid_nsec = (uint32_t)((name - (double)entry.entry_valid) * 1e9);
	entry.attr_valid = (uint64_t)attributes;
	entry.attr_valid_nsec = (uint32_t)((attributes - (double)entry.attr_valid) * 1e9);
	memcpy(answer, &entry, sizeof entry);
}

static struct statx_time statx_time(const struct timespec *time)
{
	return (struct statx_time){time->tv_sec, (uint32_t)time->tv_nsec, 0};
}

void channel_encode_statx(const struct stat *status, const struct timespec *born,
                          char ret_answer[static CHANNEL_STATX_SIZE])
{
	struct statx_answer answer = {
		.mask = STATX_BASIC_STATS | STATX_BTIME,
		.blksize = (uint32_t)status->st_blksize,
		.nlink = (uint32_t)status->st_nlink,
		.uid = status->st_uid,
		.gid = status->st_gid,
		.mode = (uint16_t)status->st_mode,
		.ino = status->st_ino,
		.size = (uint64_t)status->st_size,
		.blocks = (uint64_t)status->st_blocks,
		.atime = statx_time(&status->st_atim),
		.btime = statx_time(born),
		.ctime = statx_time(&status->st_ctim),
		.mtime = statx_time(&status->st_mtim),
		.rdev_major = major(status->st_rdev),
		.rdev_minor = minor(status->st_rdev),
	};

	memcpy(ret_answer, &answer, sizeof answer);
}
