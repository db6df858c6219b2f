/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file is made shorter by truncate(2) on its descriptor's path in /proc, and given room by having
 * its pages touched: by MADV_POPULATE_WRITE where the host maps it, which changes no byte; else by
 * one zero written into each block that has only zeros. Between the look and that write another
 * may write the same byte, which is then lost: it is one byte of a block, for a microsecond.
 *
 * No descriptor is opened for it if that can be avoided, and none while somebody has the file
 * locked: closing it would take away all record locks that this process has on the file. Nor is
 * any descriptor's position moved. */
#include "preload/resize.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#include "base/own.h"
#include "preload/way.h"

enum {
	PIECE = 1024, /* stacks may be small */
	BLOCK_MIN = 512,
	BLOCK_MAX = 4096,
	WINDOW = 64 << 20,      /* mapped at a time */
	POPULATE_WRITE = 23,    /* MADV_POPULATE_WRITE, Linux 5.14 */
	NO_APPEND = 0x20,       /* RWF_NOAPPEND, Linux 6.9 */
	MODES = 0x80 | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_ZERO_RANGE |
	        FALLOC_FL_INSERT_RANGE | FALLOC_FL_UNSHARE_RANGE, /* one of them, or none */
};

static const char zeros[BLOCK_MAX];

/* A file that is written to. */
struct file {
	int fd;          /* the program's, or `own` */
	int own;         /* -1, or another descriptor of the file */
	bool reads;      /* it can be read too */
	bool appends;    /* a write lands at the end, wherever it is meant to */
	struct stat status;
};

struct range {
	off_t from, to;
};

static off_t smaller(off_t a, off_t b)
{
	return a < b ? a : b;
}

static off_t greater(off_t a, off_t b)
{
	return a > b ? a : b;
}

/* Returns the file's flags (O_RDWR and the like), or -EBADF. */
static int look(int fd, struct stat *ret_status)
{
	int flags = sys_fcntl(fd, F_GETFL, 0);

	if (flags < 0 || (flags & O_PATH) || sys_fstat(fd, ret_status) < 0)
		return -EBADF;
	return flags;
}

static bool writes(int flags)
{
	return (flags & O_ACCMODE) == O_WRONLY || (flags & O_ACCMODE) == O_RDWR;
}

/* Without locks of anybody's on it, see above. */
static int open_again(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (sys_fcntl(fd, F_OFD_GETLK, (long)&lock) < 0 || lock.l_type != F_UNLCK)
		return -EAGAIN;
	return sys_openat(AT_FDCWD, way_fd_path(fd).bytes, O_RDWR | O_CLOEXEC | O_NOCTTY, 0);
}

/* `status` and `flags`: as look found them. */
static struct file file_open(int fd, int flags, const struct stat *status)
{
	struct file file = {
		.fd = fd,
		.own = -1,
		.reads = (flags & O_ACCMODE) == O_RDWR,
		.appends = flags & O_APPEND,
		.status = *status,
	};

	if (file.reads && !file.appends)
		return file;
	file.own = open_again(fd);
	if (file.own >= 0) {
		file.fd = file.own;
		file.reads = true;
		file.appends = false;
	}
	return file;
}

static void file_close(struct file *file)
{
	fd_close_at(&file->own);
}

#define OWN_FILE __attribute__((cleanup(file_close))) struct file

/* -EOPNOTSUPP: the file appends, and this host can't help it. */
static ssize_t put_zeros(const struct file *file, off_t at, size_t size)
{
	struct iovec bytes = {(void *)(uintptr_t)zeros, size};
	ssize_t result;

	if (!file->appends)
		return sys_pwrite(file->fd, zeros, size, at);
	result = sys_call(SYS_pwritev2, file->fd, (long)&bytes, 1, (long)at, (long)(at >> 32),
	                  NO_APPEND);
	return result == -ENOSYS || result == -EINVAL ? -EOPNOTSUPP : result;
}

/* For a file that only appends: what others append meanwhile counts as well. */
static int append_zeros(struct file *file, off_t end)
{
	ssize_t result = 0;

	while (result >= 0 && file->status.st_size < end) {
		off_t missing = end - file->status.st_size;

		result = sys_write(file->fd, zeros, (size_t)smaller(missing, sizeof zeros));
		if (result >= 0)
			result = sys_fstat(file->fd, &file->status);
	}
	return result < 0 ? (int)result : 0;
}

/* Makes the file `end` bytes long at least. */
static int extend(struct file *file, off_t end)
{
	int result = sys_fstat(file->fd, &file->status);

	if (result < 0 || file->status.st_size >= end)
		return result;
	result = (int)put_zeros(file, end - 1, 1);
	if (file->appends && result == -EOPNOTSUPP)
		return append_zeros(file, end);
	return result < 0 ? result : 0;
}

/* Says madvise's advice on a part of the file. range->from is how far it went. */
static int advise(const struct file *file, struct range *range, int advice)
{
	long result = file->reads ? 0 : -EACCES;

	while (result == 0 && range->from < range->to) {
		size_t size = (size_t)smaller(range->to - range->from, WINDOW);
		void *window = (void *)sys_map(0, size, PROT_READ | PROT_WRITE, MAP_SHARED,
		                               file->fd, range->from);

		if (sys_is_error(window))
			return (int)(intptr_t)window;
		result = sys_call(SYS_madvise, (long)window, (long)size, advice, 0, 0, 0);
		sys_munmap(window, size);
		if (result == 0)
			range->from += (off_t)size;
	}
	return (int)result;
}

/* Whether there are only zeros up to `end`, or nothing can be told. */
static int holds_nothing(const struct file *file, off_t at, off_t end)
{
	char piece[PIECE];

	while (at < end) {
		size_t size = (size_t)smaller(end - at, PIECE);
		ssize_t got = sys_pread(file->fd, piece, size, at);

		if (got < 0)
			return (int)got;
		if (got == 0) /* the file is shorter by now */
			return 0;
		if (memcmp(piece, zeros, (size_t)got) != 0)
			return 0;
		at += got;
	}
	return 1;
}

/* Gives room to all of a part of the file, which is not beyond its end. */
static int fill(const struct file *file, struct range range)
{
	off_t page = (off_t)getauxval(AT_PAGESZ);
	off_t block = smaller(greater(file->status.st_blksize, BLOCK_MIN), BLOCK_MAX);
	struct range pages = {range.from - range.from % page, range.to};
	ssize_t result = 0;

	if (!file->reads || advise(file, &pages, POPULATE_WRITE) == 0)
		return 0;
	range.from = greater(range.from, pages.from);
	while (result >= 0 && range.from < range.to) {
		off_t end = smaller(range.from - range.from % block + block, range.to);

		result = holds_nothing(file, range.from, end);
		if (result > 0)
			result = put_zeros(file, end - 1, 1);
		range.from = end;
	}
	return result < 0 ? (int)result : 0;
}

/* Writes zeros over what a part of the file holds. */
static int wipe(const struct file *file, struct range range)
{
	ssize_t result = 0;

	while (result >= 0 && range.from < range.to) {
		off_t end = smaller(range.from + PIECE, range.to);

		result = file->reads ? holds_nothing(file, range.from, end) : 0;
		if (result == 0)
			result = put_zeros(file, range.from, (size_t)(end - range.from));
		range.from = end;
	}
	return result < 0 ? (int)result : 0;
}

/* A file that became longer before room turned out to be lacking could not be made shorter again:
 * others may have written to it. */
static bool has_room(const struct file *file, struct range range)
{
	off_t wanted = range.to - greater(range.from, file->status.st_size);
	struct statfs status;
	off_t block;
	fsblkcnt_t left;

	if (wanted <= 0 || sys_fstatfs(file->fd, &status) < 0)
		return true;
	block = status.f_frsize ? status.f_frsize : status.f_bsize;
	left = sys_geteuid() == 0 ? status.f_bfree : status.f_bavail;
	/* 0 blocks: there is no limit. */
	return !status.f_blocks || block <= 0 || (fsblkcnt_t)((wanted - 1) / block) < left;
}

static int allocate(struct file *file, struct range range)
{
	int result = has_room(file, range) ? extend(file, range.to) : -ENOSPC;

	return result < 0 ? result : fill(file, range);
}

/* The pages that are in it as a whole go, where the host has that by madvise(2); the rest is
 * written over. */
static int punch(struct file *file, struct range range)
{
	off_t page = (off_t)getauxval(AT_PAGESZ);
	struct range whole;
	int result;

	range.to = smaller(range.to, file->status.st_size);
	whole.from = range.from + (page - range.from % page) % page;
	whole.to = range.to - range.to % page;
	if (whole.from >= whole.to)
		return wipe(file, range);
	result = wipe(file, (struct range){range.from, whole.from});
	if (result == 0)
		advise(file, &whole, MADV_REMOVE);
	/* From where it got to. */
	return result < 0 ? result : wipe(file, (struct range){whole.from, range.to});
}

static int zero(struct file *file, struct range range)
{
	struct range held = {range.from, smaller(range.to, file->status.st_size)};
	struct statfs status;
	int result;

	/* It does not have that. */
	if (sys_fstatfs(file->fd, &status) == 0 && status.f_type == TMPFS_MAGIC)
		return -EOPNOTSUPP;
	result = wipe(file, held);
	return result < 0 ? result : allocate(file, range);
}

static bool is_possible(int mode)
{
	bool keeps = mode & FALLOC_FL_KEEP_SIZE;

	switch (mode & ~FALLOC_FL_KEEP_SIZE) {
	case 0: case FALLOC_FL_UNSHARE_RANGE: case FALLOC_FL_ZERO_RANGE:
		return true;
	case FALLOC_FL_PUNCH_HOLE:
		return keeps;
	case FALLOC_FL_COLLAPSE_RANGE: case FALLOC_FL_INSERT_RANGE:
		return !keeps;
	default:
		return false;
	}
}

/* What the kernel says before it asks the filesystem, in its order. */
static int judge(int flags, const struct stat *status, int mode, struct range range)
{
	if (range.from < 0 || range.to <= 0)
		return -EINVAL;
	if (!is_possible(mode))
		return -EOPNOTSUPP;
	if (!writes(flags))
		return -EBADF;
	if (S_ISFIFO(status->st_mode))
		return -ESPIPE;
	if (!S_ISREG(status->st_mode) && !S_ISBLK(status->st_mode))
		return -ENODEV;
	if (range.from > LONG_MAX - range.to)
		return -EFBIG;
	return S_ISREG(status->st_mode) ? 0 : -EOPNOTSUPP;
}

int resize_allocate(int fd, int mode, off_t offset, off_t length)
{
	struct stat status;
	OWN_FILE file = {.own = -1};
	struct range range = {offset, length};
	int flags = look(fd, &status);
	int result = flags < 0 ? flags : judge(flags, &status, mode, range);

	if (result < 0)
		return result;
	range.to += offset;
	if (mode & MODES & ~(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	if (!(mode & FALLOC_FL_PUNCH_HOLE) && (mode & FALLOC_FL_KEEP_SIZE) &&
	    range.to > status.st_size)
		return -EOPNOTSUPP;
	file = file_open(fd, flags, &status);
	if (mode & FALLOC_FL_PUNCH_HOLE)
		return punch(&file, range);
	return mode & FALLOC_FL_ZERO_RANGE ? zero(&file, range) : allocate(&file, range);
}

static int truncate_path(int fd, off_t length)
{
	return sys_truncate(way_fd_path(fd).bytes, length);
}

/* truncate(2) judges by the file's mode, ftruncate(2) by how it was opened: its owner may have it
 * open for writing, and nobody may any more. */
static int truncate_by_owner(int fd, const struct stat *status, off_t length)
{
	struct stat after;
	int result = sys_fchmod(fd, (status->st_mode & ALLPERMS) | S_IWUSR);

	if (result < 0)
		return -EACCES;
	result = truncate_path(fd, length);
	/* Set-id bits may have gone. */
	if (sys_fstat(fd, &after) == 0)
		sys_fchmod(fd, after.st_mode & ALLPERMS & ~(mode_t)S_IWUSR);
	return result;
}

static bool is_out_of_reach(int error)
{
	return error == -ENOENT || error == -ENOTDIR || error == -EACCES || error == -ENOSYS;
}

int resize_truncate(int fd, off_t length)
{
	struct stat status;
	int flags = look(fd, &status);
	int result;

	if (length < 0)
		return -EINVAL;
	if (flags < 0)
		return flags;
	if (!S_ISREG(status.st_mode) || !writes(flags))
		return -EINVAL;
	result = truncate_path(fd, length);
	if (result == -EACCES && !(status.st_mode & S_IWUSR))
		result = truncate_by_owner(fd, &status, length);
	if (is_out_of_reach(result) && length >= status.st_size) {
		OWN_FILE file = file_open(fd, flags, &status);

		result = extend(&file, length);
	}
	/* Not the answer to a question about a path, which the program did not put. */
	return is_out_of_reach(result) ? -ENOSYS : result;
}
