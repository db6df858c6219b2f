/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/progress.h"

enum { CHUNK = 1 << 18 };

struct copy {
	int from, to;
	off_t start, end; /* of what there is; end is -1 where nobody knows */
	off_t at;         /* the next byte of `from` */
	bool holes;       /* can be kept */
	bool writes;
	struct progress progress;
};

static int write_all(int fd, const char *bytes, size_t count)
{
	while (count > 0) {
		ssize_t written = write(fd, bytes, count);

		if (written < 0 && errno != EINTR)
			return -errno;
		if (written > 0) {
			bytes += written;
			count -= (size_t)written;
		}
	}
	return 0;
}

static void prepare(struct copy *copy)
{
	struct stat from, to;
	bool is_file = fstat(copy->from, &from) == 0 && S_ISREG(from.st_mode);
	int flags = fcntl(copy->to, F_GETFL);

	copy->end = -1;
	copy->at = copy->start = is_file ? lseek(copy->from, 0, SEEK_CUR) : 0;
	if (is_file && from.st_size >= copy->start)
		copy->end = from.st_size;
	copy->holes = copy->end >= 0 && fstat(copy->to, &to) == 0 && S_ISREG(to.st_mode) &&
	              !(flags & O_APPEND);
}

/* Passes over a hole that begins here. */
static int skip_hole(struct copy *copy)
{
	off_t data = lseek(copy->from, copy->at, SEEK_DATA);

	if (data < 0 && errno == ENXIO)
		data = copy->end;
	if (data < 0 || data == copy->at)
		return lseek(copy->from, copy->at, SEEK_SET) < 0 ? -errno : 0;
	if (lseek(copy->to, data - copy->at, SEEK_CUR) < 0) {
		copy->writes = true;
		return -errno;
	}
	copy->at = data;
	return lseek(copy->from, data, SEEK_SET) < 0 ? -errno : 0;
}

/* A file that ends in a hole is as long as it was. */
static int set_length(const struct copy *copy)
{
	off_t length = lseek(copy->to, 0, SEEK_CUR);
	struct stat stat;

	if (length < 0 || fstat(copy->to, &stat) < 0)
		return -errno;
	return stat.st_size >= length || ftruncate(copy->to, length) == 0 ? 0 : -errno;
}

static int copy_all(struct copy *copy)
{
	static char chunk[CHUNK];
	int result;

	for (;;) {
		ssize_t got;

		if (copy->holes && (result = skip_hole(copy)) < 0)
			return result;
		got = read(copy->from, chunk, sizeof chunk);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			result = got < 0 ? -errno : 0;
			break;
		}
		result = write_all(copy->to, chunk, (size_t)got);
		if (result < 0) {
			copy->writes = true;
			return result;
		}
		copy->at += got;
		progress_at(&copy->progress, (uint64_t)(copy->at - copy->start));
	}
	if (result == 0 && copy->holes) {
		result = set_length(copy);
		copy->writes = result < 0;
	}
	return result;
}

int copy_bytes(int from, int to, const char *what, bool *ret_writes)
{
	struct copy copy = {.from = from, .to = to};
	int result;

	prepare(&copy);
	progress_begin(&copy.progress, what,
	               copy.end > 0 ? (uint64_t)(copy.end - copy.start) : 0);
	result = copy_all(&copy);
	progress_end(&copy.progress);
	*ret_writes = copy.writes;
	return result;
}
