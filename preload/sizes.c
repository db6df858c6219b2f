/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that grow and shrink: by the host's own calls where it has them, else by resize.c. Where
 * the store has a limit there must be room when a file is made longer, not when its pages are
 * touched, for that would be a SIGBUS; and what a user's share is too small for is EDQUOT. The
 * kernel has one word for both. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "preload/export.h"
#include "preload/host.h"
#include "preload/real.h"
#include "preload/resize.h"
#include "preload/roads.h"
#include "preload/views.h"
#include "preload/way.h"

/* Of a file on which there is a limit: its size, and the error of what does not fit. */
struct limit {
	off_t size;
	int full; /* -ENOSPC or -EDQUOT; 0: there is no limit */
};

static struct limit find_limit(int fd)
{
	struct roads_limits limits;
	struct stat status;

	if (!roads_limits(&limits) || sys_fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
		return (struct limit){0};
	if (limits.share && status.st_dev == limits.share)
		return (struct limit){status.st_size, -EDQUOT};
	if (limits.all && status.st_dev == limits.all)
		return (struct limit){status.st_size, -ENOSPC};
	return (struct limit){0};
}

/* Emulated mappings go with the file: what this process wrote is there before it changes, and the
 * change is seen after. */
static void before_change(void)
{
	if (views_shared_any())
		views_release();
}

static void after_change(void)
{
	if (views_any())
		views_resize();
}

static int allocate(int fd, int mode, off_t offset, off_t length)
{
	int result = host_fallocate(fd, mode, offset, length);

	return result == -HOST_LACKS ? resize_allocate(fd, mode, offset, length) : result;
}

/* 0, or the error when there is no room for `length` bytes. All others are ftruncate's own. */
static int reserve(int fd, off_t length)
{
	struct limit limit = find_limit(fd);
	int result = 0;

	if (limit.full && length > limit.size)
		result = allocate(fd, 0, limit.size, length - limit.size);
	return result == -ENOSPC ? limit.full : 0;
}

static int emu_ftruncate(int fd, off_t length)
{
	int result = reserve(fd, length);

	if (result < 0)
		return result;
	result = host_ftruncate(fd, length);
	return result == -HOST_LACKS ? resize_truncate(fd, length) : result;
}

/* Says which limit it is that there is no room. */
static int name_limit(int fd, int result)
{
	struct limit limit = {0};

	if (result == -ENOSPC)
		limit = find_limit(fd);
	return limit.full ? limit.full : result;
}

EXPORT int ftruncate(int fd, off_t length)
{
	int result;

	before_change();
	result = emu_ftruncate(fd, length);
	after_change();
	return export_result(result);
}

EXPORT int fallocate(int fd, int mode, off_t offset, off_t len)
{
	int result;

	before_change();
	result = name_limit(fd, allocate(fd, mode, offset, len));
	after_change();
	return export_result(result);
}

/* Errors that say something of this file and this range. */
static bool is_answer(int error)
{
	switch (error) {
	case 0: case EBADF: case EFBIG: case EINTR: case EINVAL: case EIO: case ENODEV:
	case ENOSPC: case EDQUOT: case EOPNOTSUPP: case ESPIPE:
		return true;
	default:
		return false;
	}
}

/* Where the host has fallocate(2) and the filesystem does not, libc has a way of its own. */
static int emu_posix_fallocate(int fd, off_t offset, off_t length)
{
	int error = REAL(posix_fallocate)(fd, offset, length);

	return name_limit(fd, is_answer(error) ? -error : allocate(fd, 0, offset, length));
}

EXPORT int posix_fallocate(int fd, off_t offset, off_t len)
{
	int before = errno;
	int result;

	before_change();
	result = emu_posix_fallocate(fd, offset, len);
	after_change();
	errno = before;
	return -result;
}

static long truncate_natively(const struct errand *errand, int dirfd, const char *path,
                              bool nofollow)
{
	const off_t *length = errand->details;

	return way_result(REAL(truncate)(path, *length));
}

static long truncate_served(const struct errand *errand, struct way *way)
{
	const off_t *length = errand->details;
	struct roads_limits limits;
	OWN_FD file = -1;
	struct wire_stat told;
	long result = way_find(way, false, &told);

	if (result < 0)
		return result;
	/* An empty file stands for it. */
	if (S_ISCHR(told.mode) || S_ISBLK(told.mode))
		return -EINVAL;
	if (S_ISREG(told.mode) && roads_limits(&limits))
		file = sys_openat(AT_FDCWD, way_fd_path(way->stand_in).bytes,
		                  O_WRONLY | O_CLOEXEC, 0);
	result = file < 0 ? 0 : reserve(file, *length);
	return result < 0 ? result : way_natively(way, errand);
}

static int emu_truncate(const char *path, off_t length)
{
	if (length < 0)
		return -EINVAL;
	return (int)way_go(AT_FDCWD, path, &(struct errand){
		.natively = truncate_natively, .served = truncate_served, .details = &length,
	});
}

EXPORT int truncate(const char *path, off_t length)
{
	int result;

	if (way_is_foreign(AT_FDCWD, path)) {
		before_change();
		result = REAL(truncate)(path, length);
		after_change();
		return result;
	}
	before_change();
	result = emu_truncate(path, length);
	after_change();
	return export_named("truncate", path, result);
}

_Static_assert(sizeof(off_t) == sizeof(off64_t), "truncate64 is truncate");
EXPORT_WIDE(truncate64, truncate);
EXPORT_WIDE(ftruncate64, ftruncate);
EXPORT_WIDE(fallocate64, fallocate);
EXPORT_WIDE(posix_fallocate64, posix_fallocate);
