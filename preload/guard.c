/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One place for each number: where it is kept, if it is ours. It is read without the lock, so a
 * program that closes a number at the very moment at which it becomes ours may still have it. */
#include "preload/guard.h"

#include <limits.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/own.h"
#include "preload/boot.h"
#include "preload/export.h"
#include "preload/lock.h"
#include "preload/mq.h"
#include "preload/points.h"
#include "preload/pool.h"
#include "preload/real.h"

enum { GUARD_MAX = 1 << 16, FDS_STANDARD = 3 };

/* Pages of it come when they are touched. */
static _Atomic(int *) guarded[GUARD_MAX];
static atomic_int guard_count;
static atomic_int highest = -1; /* that ever was */

static bool is_idle(void)
{
	return atomic_load_explicit(&guard_count, memory_order_relaxed) == 0;
}

bool guard_owns(int fd)
{
	return !is_idle() && fd >= 0 && fd < GUARD_MAX &&
	       atomic_load_explicit(&guarded[fd], memory_order_acquire) != NULL;
}

static void enter(int fd, int *place)
{
	atomic_store(&guarded[fd], place);
	atomic_fetch_add(&guard_count, 1);
	if (fd > highest)
		highest = fd;
	*place = fd;
}

static void leave(int fd)
{
	atomic_store(&guarded[fd], NULL);
	atomic_fetch_sub(&guard_count, 1);
}

/* High and out of the way, else any that is not the program's input or output. */
static int copy(int fd)
{
	int number = pool_copy_up(fd);

	if (number < 0)
		number = sys_fcntl(fd, F_DUPFD_CLOEXEC, FDS_STANDARD);
	if (number >= GUARD_MAX) {
		sys_close(number);
		number = -EMFILE;
	}
	return number;
}

int guard_copy(int fd, int *place)
{
	int number = copy(fd);

	if (number >= 0)
		enter(number, place);
	return number < 0 ? number : 0;
}

/* Closing any descriptor of a file takes away all record locks that this process has on it. */
static bool may_close(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = POINTS_LOCKS_END};

	return sys_fcntl(fd, F_OFD_GETLK, (long)&lock) < 0 || lock.l_type == F_UNLCK;
}

int guard_keep(int *place)
{
	int old = *place;
	bool may_stay = old >= FDS_STANDARD && old < GUARD_MAX;
	int number = may_stay && !may_close(old) ? -EBUSY : copy(old);

	/* It stays where it is. */
	if (number < 0 && may_stay && sys_fcntl(old, F_SETFD, FD_CLOEXEC) == 0) {
		enter(old, place);
		return 0;
	}
	if (number < 0)
		return number;
	enter(number, place);
	sys_close(old);
	return 0;
}

void guard_close(int *place)
{
	int fd = *place;

	if (fd < 0)
		return;
	if (guard_owns(fd))
		leave(fd);
	*place = -1;
	sys_close(fd);
}

void guard_forget(int *place)
{
	if (guard_owns(*place) && atomic_load(&guarded[*place]) == place)
		leave(*place);
	*place = -1;
}

/* To another number, for the program wants this one. The lock is held. */
static int move(int fd)
{
	int *place = atomic_load(&guarded[fd]);
	int number = copy(fd);

	if (number < 0)
		return number;
	leave(fd);
	enter(number, place);
	return 0;
}

static bool is_open(int fd)
{
	return sys_fcntl(fd, F_GETFD, 0) >= 0;
}

/* While it is held no descriptor of ours is at a low number, on its way to a high one. A child of
 * vfork has numbers of its own, and what we know of them is its parent's: it needs no lock. */
static uint64_t begin(void)
{
	return boot_is_borrowed() ? 0 : lock_take();
}

static void end(uint64_t before)
{
	if (!boot_is_borrowed())
		lock_leave(before);
}

/* Has the library descriptors, or may a thread of its own be opening some? */
static bool is_to_be_looked_at(void)
{
	return __builtin_expect(!is_idle() || views_shared_any(), 0);
}

/* Others learn by the end of a file, or of a lock, that there is something to be seen. */
__attribute__((noinline)) static int close_carefully(int fd)
{
	uint64_t before = begin();
	bool is_theirs = !guard_owns(fd) && is_open(fd);

	end(before);
	if (!is_theirs)
		return export_result(-EBADF);
	points_tell();
	return REAL(close)(fd);
}

int guard_close_theirs(int fd)
{
	if (is_to_be_looked_at())
		return close_carefully(fd);
	return REAL(close)(fd);
}

__attribute__((noinline)) static int close_minded(int fd)
{
	if (mq_minds_close(fd))
		return mq_close_number(fd);
	return guard_close_theirs(fd);
}

EXPORT int close(int fd)
{
	if (!mq_any() && !is_to_be_looked_at() && REAL_IS_THERE(close))
		return REAL_KNOWN(close)(fd);
	return close_minded(fd);
}

static int duplicate(int fd, int number, int flags, bool has_flags)
{
	return has_flags ? REAL(dup3)(fd, number, flags) : REAL(dup2)(fd, number);
}

/* What is ours there moves. With the lock held where the number is nobody's, so that it stays so;
 * and without where it is the program's, as the end of a file may take long. */
__attribute__((noinline)) static int duplicate_carefully(int fd, int number, int flags,
                                                         bool has_flags)
{
	uint64_t before;
	bool is_theirs;
	int result = 0;

	if (fd == number || (flags & ~O_CLOEXEC) || boot_is_borrowed())
		return guard_owns(fd) ? export_result(has_flags && fd == number ? -EINVAL : -EBADF)
		                      : duplicate(fd, number, flags, has_flags);
	before = begin();
	is_theirs = !guard_owns(number) && is_open(number);
	if (guard_owns(fd) || !is_open(fd))
		result = -EBADF;
	else if (guard_owns(number))
		result = move(number);
	if (result == 0 && !is_theirs && duplicate(fd, number, flags, has_flags) < 0)
		result = -errno;
	end(before);
	if (result < 0)
		return export_result(result);
	if (!is_theirs)
		return number;
	points_tell();
	return duplicate(fd, number, flags, has_flags);
}

static int duplicate_any(int fd, int number, int flags, bool has_flags)
{
	if (is_to_be_looked_at())
		return duplicate_carefully(fd, number, flags, has_flags);
	return duplicate(fd, number, flags, has_flags);
}

__attribute__((noinline)) static int duplicate_over_queue(int fd, int number, int flags,
                                                          bool has_flags)
{
	struct mq_parting parting = {false};
	bool is_over = fd != number && is_open(fd);
	int result;

	if (is_over)
		mq_part_begin(number, &parting);
	result = duplicate_any(fd, number, flags, has_flags);
	mq_part_end(&parting, result >= 0);
	return result;
}

EXPORT int dup2(int fd, int number)
{
	if (__builtin_expect(mq_minds_close(number), 0))
		return duplicate_over_queue(fd, number, 0, false);
	return duplicate_any(fd, number, 0, false);
}

EXPORT int dup3(int fd, int number, int flags)
{
	if (__builtin_expect(mq_minds_close(number), 0))
		return duplicate_over_queue(fd, number, flags, true);
	return duplicate_any(fd, number, flags, true);
}

/* The first of ours from `first` to `last`, or what comes after that. */
static int64_t next_guarded(int64_t first, int64_t last)
{
	int64_t end = highest < last ? highest : last;

	for (int64_t fd = first; fd <= end; fd++)
		if (guard_owns((int)fd))
			return fd;
	return last + 1;
}

/* Closes all from `first` to `last` but ours. Returns 0, or -1 and errno. */
static int close_others(int64_t first, int64_t last, int flags)
{
	while (first <= last) {
		int64_t next = next_guarded(first, last);

		if (next > first &&
		    REAL(close_range)((unsigned)first, (unsigned)(next - 1), flags) < 0)
			return -1;
		first = next + 1;
	}
	return 0;
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	int error = errno;
	uint64_t before;
	int result;

	if (first <= last && !(flags & (int)CLOSE_RANGE_CLOEXEC))
		mq_close_range(first, last);
	/* What is to be close-on-exec: ours are. */
	if (!is_to_be_looked_at() || first > last || (flags & (int)CLOSE_RANGE_CLOEXEC))
		return REAL(close_range)(first, last, flags);
	points_tell();
	before = begin();
	result = next_guarded(first, last) > last ? REAL(close_range)(first, last, flags)
	                                          : close_others(first, last, flags);
	end(before);
	errno = result == -1 ? errno : error;
	return result;
}

/* Where there is no close_range: those below the last of ours. */
static void close_each(int first, int last)
{
	for (int fd = first; fd <= last; fd++)
		if (!guard_owns(fd))
			sys_close(fd);
}

EXPORT void closefrom(int lowest)
{
	int error = errno;
	int last = highest;
	uint64_t before;

	mq_close_range(lowest < 0 ? 0 : (unsigned)lowest, UINT_MAX);
	if (!is_to_be_looked_at()) {
		REAL(closefrom)(lowest);
		return;
	}
	points_tell();
	before = begin();
	if (lowest < 0)
		lowest = 0;
	if (close_others(lowest, last, 0) < 0)
		close_each(lowest, last);
	REAL(closefrom)(lowest > last ? lowest : last + 1);
	end(before);
	errno = error;
}

extern __typeof__(close) __close;
EXPORT_SAME(__close, close);
