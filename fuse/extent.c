/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a host has against a call as such it says by whatever errno: one that tells of the file or
 * the size is the answer, any other sends us another way. */
#include "fuse/extent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"

enum { ZEROS_SIZE = 1 << 16 };

static bool is_answer(int error)
{
	switch (error) {
	case EBADF:
	case EDQUOT:
	case EFBIG:
	case EINTR:
	case EINVAL:
	case EIO:
	case EISDIR:
	case ENODEV:
	case ENOMEM:
	case ENOSPC:
	case EROFS:
	case ESPIPE:
	case ETXTBSY: return true;
	default: return false;
	}
}

static int write_zeros(int fd, off_t from, off_t to)
{
	static char zeros[ZEROS_SIZE];

	while (from < to) {
		size_t part = to - from < ZEROS_SIZE ? (size_t)(to - from) : ZEROS_SIZE;
		ssize_t written = pwrite(fd, zeros, part, from);

		if (written < 0 && errno != EINTR)
			return -errno;
		if (written == 0)
			return -ENOSPC;
		from += written > 0 ? written : 0;
	}
	return 0;
}

/* Zeros in those parts of a range that are holes, or that are none. */
static int write_zeros_in(int fd, int kind, off_t from, off_t to)
{
	int other = kind == SEEK_HOLE ? SEEK_DATA : SEEK_HOLE;
	int result = 0;

	while (result == 0 && from < to) {
		off_t begin = lseek(fd, from, kind);
		off_t end = begin < 0 ? -1 : lseek(fd, begin, other);

		if (begin < 0 || begin >= to)
			return begin < 0 && errno != ENXIO ? -errno : 0;
		if (end < 0 || end > to)
			end = to;
		result = write_zeros(fd, begin, end);
		from = end;
	}
	return result;
}

/* By the file's path, which asks for the right to write that the descriptor has already. */
static int truncate_by_path(int fd, off_t size)
{
	struct stat status;
	char path[64];
	int result;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	result = truncate(path, size) < 0 ? -errno : 0;
	if (result != -EACCES || fstat(fd, &status) < 0 || fchmod(fd, 0600) < 0)
		return result;
	result = truncate(path, size) < 0 ? -errno : 0;
	return fchmod(fd, status.st_mode & 07777) < 0 ? -errno : result;
}

/* The last byte of what grows is written, and the zeros before it are nobody's to write. To nothing
 * a file is made by opening it. */
static int resize_by_writing(int fd, off_t size)
{
	struct stat status;
	char path[64];
	OWN_FD opened = -1;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (size == status.st_size)
		return 0;
	if (size > status.st_size)
		return write_zeros(fd, size - 1, size);
	if (size)
		return -EPERM;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	opened = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	return opened < 0 ? -errno : 0;
}

int extent_set_size(int fd, off_t size)
{
	int result = ftruncate(fd, size) < 0 ? -errno : 0;

	if (result == 0 || is_answer(-result))
		return result;
	result = truncate_by_path(fd, size);
	if (result == 0 || is_answer(-result))
		return result;
	return resize_by_writing(fd, size);
}

static int allocate_by_writing(int fd, int mode, off_t offset, off_t length)
{
	off_t end = offset + length;
	struct stat status;
	off_t inside;
	int result;

	if (fstat(fd, &status) < 0)
		return -errno;
	inside = end < status.st_size ? end : status.st_size;
	if (mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return write_zeros_in(fd, SEEK_DATA, offset, inside);
	if ((mode & ~FALLOC_FL_KEEP_SIZE) || (mode && end > status.st_size))
		return -EOPNOTSUPP;
	result = write_zeros_in(fd, SEEK_HOLE, offset, inside);
	if (result < 0 || end <= status.st_size)
		return result;
	result = write_zeros(fd, offset > status.st_size ? offset : status.st_size, end);
	if (result < 0)
		extent_set_size(fd, status.st_size);
	return result;
}

int extent_allocate(int fd, int mode, off_t offset, off_t length)
{
	int result = fallocate(fd, mode, offset, length) < 0 ? -errno : 0;

	if (result == 0 || is_answer(-result))
		return result;
	if (offset < 0 || length <= 0)
		return -EINVAL;
	return allocate_by_writing(fd, mode, offset, length);
}
