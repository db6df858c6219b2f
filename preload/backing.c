/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/backing.h"

#include <fcntl.h>
#include <string.h>

#include "base/own.h"
#include "preload/guard.h"
#include "preload/host.h"
#include "preload/sync.h"
#include "preload/way.h"

enum { PER_BLOCK = 24, TICKS_NS = 20 * 1000 * 1000 };

static struct block {
	struct block *next;
	struct backing places[PER_BLOCK];
} *blocks;

static struct backing *find_free(void)
{
	struct block *block;

	for (block = blocks; block; block = block->next)
		for (size_t i = 0; i < PER_BLOCK; i++)
			if (block->places[i].fd < 0)
				return &block->places[i];
	block = host_take(sizeof *block);
	if (!block)
		return NULL;
	for (size_t i = 0; i < PER_BLOCK; i++)
		block->places[i].fd = -1;
	block->next = blocks;
	blocks = block;
	return &block->places[0];
}

static struct backing *find_file(const struct stat *status, bool can_write)
{
	for (struct block *block = blocks; block; block = block->next)
		for (size_t i = 0; i < PER_BLOCK; i++) {
			struct backing *at = &block->places[i];

			if (at->fd >= 0 && at->device == status->st_dev &&
			    at->inode == status->st_ino && at->can_write == can_write)
				return at;
		}
	return NULL;
}

static int reopen(int fd, int access)
{
	return sys_openat(AT_FDCWD, way_fd_path(fd).bytes, access | O_CLOEXEC | O_NONBLOCK, 0);
}

/* pwrite(2) appends where O_APPEND is set, and O_DIRECT wants aligned buffers: then it is opened
 * anew. */
static int hold(int fd, int flags, int *ret_held)
{
	int result;

	if (flags & (O_APPEND | O_DIRECT)) {
		*ret_held = reopen(fd, flags & O_ACCMODE);
		result = *ret_held < 0 ? *ret_held : guard_keep(ret_held);
	} else {
		result = guard_copy(fd, ret_held);
	}
	return result == -EMFILE ? -ENFILE : result;
}

/* Does anybody have a record lock on it? It may be this process's. */
static bool is_locked(const struct backing *backing)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = BACKING_LOCKS,
	};

	return sys_fcntl(backing->fd, F_OFD_GETLK, (long)&lock) < 0 || lock.l_type != F_UNLCK;
}

static void try_close(struct backing *backing)
{
	if (is_locked(backing))
		return;
	claims_forget(backing->device, backing->inode);
	if (backing->lock_fd >= 0)
		guard_close(&backing->lock_fd);
	guard_close(&backing->fd);
}

/* Those that were kept for a lock's sake. */
static void sweep(void)
{
	for (struct block *block = blocks; block; block = block->next)
		for (size_t i = 0; i < PER_BLOCK; i++)
			if (block->places[i].fd >= 0 && !block->places[i].users)
				try_close(&block->places[i]);
}

/* With one user, and without its descriptor. */
static struct backing *make(const struct stat *status, bool can_write)
{
	struct backing *backing;

	sweep();
	backing = find_free();
	if (backing)
		*backing = (struct backing){
			.fd = -1, .lock_fd = -1, .can_write = can_write, .users = 1,
			.device = status->st_dev, .inode = status->st_ino,
			.size = status->st_size,
		};
	return backing;
}

int backing_open(int fd, const struct stat *status, struct backing **ret_backing)
{
	int flags = sys_fcntl(fd, F_GETFL, 0);
	bool can_write = (flags & O_ACCMODE) == O_RDWR;
	struct backing *backing = find_file(status, can_write);
	int result;

	if (flags < 0)
		return flags;
	if (backing) {
		*ret_backing = backing_share(backing);
		return 0;
	}
	backing = make(status, can_write);
	if (!backing)
		return -ENOMEM;
	result = hold(fd, flags, &backing->fd);
	if (result < 0) {
		fd_close_at(&backing->fd);
		return result;
	}
	*ret_backing = backing;
	return 0;
}

/* It is looked at before it is opened, and O_PATH takes no locks away when it is closed. */
int backing_open_path(const char *path, int access, const struct stat *wanted,
                      struct backing **ret_backing)
{
	struct backing *backing = find_file(wanted, access == O_RDWR);
	OWN_FD place = -1;
	struct stat status;
	int result;

	if (backing) {
		*ret_backing = backing_share(backing);
		return 0;
	}
	place = sys_openat(AT_FDCWD, path, O_PATH | O_CLOEXEC, 0);
	if (place < 0 || sys_fstat(place, &status) < 0 || status.st_dev != wanted->st_dev ||
	    status.st_ino != wanted->st_ino)
		return -ENOENT;
	backing = make(&status, access == O_RDWR);
	if (!backing)
		return -ENOMEM;
	backing->fd = reopen(place, access);
	result = backing->fd < 0 ? backing->fd : guard_keep(&backing->fd);
	if (result < 0)
		fd_close_at(&backing->fd);
	else
		*ret_backing = backing;
	return result;
}

struct backing *backing_share(struct backing *backing)
{
	backing->users++;
	return backing;
}

void backing_leave(struct backing *backing)
{
	if (--backing->users == 0)
		try_close(backing);
}

off_t backing_size(struct backing *backing)
{
	struct stat status;

	if (sys_fstat(backing->fd, &status) == 0)
		backing->size = status.st_size;
	return backing->size;
}

/* What was duplicated shares its position with the program's, and its locks with a forked child's:
 * so each process opens one of its own. */
int backing_own(struct backing *backing)
{
	if (backing->lock_fd >= 0 || backing->no_lock)
		return backing->lock_fd;
	backing->lock_fd = reopen(backing->fd, backing->can_write ? O_RDWR : O_RDONLY);
	if (backing->lock_fd < 0) {
		backing->lock_fd = -1;
		backing->no_lock = true;
	} else {
		guard_keep(&backing->lock_fd);
	}
	return backing->lock_fd;
}

static int set_lock(const struct backing *backing, short type)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = BACKING_LOCK_PAGES, .l_len = 1,
	};
	int result;

	do
		result = sys_fcntl(backing->lock_fd, F_OFD_SETLKW, (long)&lock);
	while (result == -EINTR);
	return result;
}

bool backing_lock(struct backing *backing, short type)
{
	if (backing_own(backing) < 0)
		return false;
	if (set_lock(backing, type) == 0)
		return true;
	backing->no_lock = true;
	return false;
}

static int64_t nanoseconds(const struct timespec *time)
{
	return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

static bool is_same_time(const struct timespec *one, const struct timespec *other)
{
	return one->tv_sec == other->tv_sec && one->tv_nsec == other->tv_nsec;
}

/* Looks at the file. Returns whether its times and size are as they were. */
static bool look(struct backing *backing)
{
	struct timespec now = {0};
	struct stat status;
	bool is_same;

	sys_call(SYS_clock_gettime, CLOCK_REALTIME_COARSE, (long)&now, 0, 0, 0, 0);
	if (sys_fstat(backing->fd, &status) < 0)
		return false;
	is_same = status.st_size == backing->size &&
		  is_same_time(&status.st_ctim, &backing->changed);
	backing->size = status.st_size;
	backing->changed = status.st_ctim;
	if (!is_same)
		backing->pulled = now;
	return is_same;
}

/* File times go by a clock that ticks: a change within some ticks of the pull need not show. */
bool backing_is_unchanged(struct backing *backing)
{
	bool is_unchanged = look(backing) && nanoseconds(&backing->pulled) -
						nanoseconds(&backing->changed) > TICKS_NS;

	if (!is_unchanged)
		sys_call(SYS_clock_gettime, CLOCK_REALTIME_COARSE, (long)&backing->pulled, 0, 0, 0,
		         0);
	return is_unchanged;
}

bool backing_has_moved_on(struct backing *backing)
{
	return !look(backing);
}

void backing_each(void (*visit)(struct backing *backing))
{
	for (struct block *block = blocks; block; block = block->next)
		for (size_t i = 0; i < PER_BLOCK; i++)
			if (block->places[i].fd >= 0 && block->places[i].users)
				visit(&block->places[i]);
}

/* The child has none of its parent's record locks, and must not have a part in its others. */
void backing_after_fork(void)
{
	for (struct block *block = blocks; block; block = block->next)
		for (size_t i = 0; i < PER_BLOCK; i++) {
			struct backing *at = &block->places[i];

			if (at->fd >= 0 && at->lock_fd >= 0) {
				guard_close(&at->lock_fd);
				backing_own(at);
			}
			if (at->fd >= 0 && !at->users)
				guard_close(&at->fd);
		}
}
