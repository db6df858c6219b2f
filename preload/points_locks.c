/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Record locks. They are points; and the library's own for what is in emulated mappings are on the
 * same files, from POINTS_LOCKS_END on: a program's lock that has no end ends there. */
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/sys.h"
#include "preload/export.h"
#include "preload/points.h"
#include "preload/real.h"

/* Counted from the file's begin; -1 when that can't be known. */
static off_t start_of(int fd, const struct flock *lock)
{
	struct stat status;
	off_t base = 0;

	if (lock->l_whence == SEEK_CUR) {
		base = sys_lseek(fd, 0, SEEK_CUR);
	} else if (lock->l_whence == SEEK_END) {
		if (sys_fstat(fd, &status) < 0)
			return -1;
		base = status.st_size;
	} else if (lock->l_whence != SEEK_SET) {
		return -1;
	}
	if (base < 0 || __builtin_add_overflow(base, lock->l_start, &base))
		return -1;
	return base;
}

/* Unlocking may go as far as it likes: ours are of another's, as the kernel sees it. */
static void cut(int fd, struct flock *lock)
{
	off_t start = start_of(fd, lock);

	if (lock->l_type == F_UNLCK || lock->l_len < 0 || start < 0 || start >= POINTS_LOCKS_END)
		return;
	if (lock->l_len && lock->l_len <= POINTS_LOCKS_END - start)
		return;
	lock->l_whence = SEEK_SET;
	lock->l_start = start;
	lock->l_len = POINTS_LOCKS_END - start;
}

static int set_lock(int fd, int command, const struct flock *lock)
{
	struct flock own = *lock;
	int result;

	cut(fd, &own);
	points_release();
	result = REAL(fcntl)(fd, command, &own);
	points_acquire();
	return result;
}

/* Where there is nothing in the way only the type is told. */
static int get_lock(int fd, int command, struct flock *lock)
{
	struct flock own = *lock;
	int result;

	cut(fd, &own);
	points_release();
	result = REAL(fcntl)(fd, command, &own);
	points_acquire();
	if (result < 0)
		return result;
	if (own.l_type == F_UNLCK) {
		lock->l_type = F_UNLCK;
		return result;
	}
	if (own.l_len && own.l_start + own.l_len == POINTS_LOCKS_END)
		own.l_len = 0;
	*lock = own;
	return result;
}

__attribute__((noinline)) static int talk_of_locks(int fd, int command, void *argument)
{
	if (command == F_ADD_SEALS && ((uintptr_t)argument & F_SEAL_WRITE) && views_write(fd))
		return export_result(-EBUSY);
	switch (argument ? command : -1) {
	case F_SETLK: case F_SETLKW: case F_OFD_SETLK: case F_OFD_SETLKW:
		return set_lock(fd, command, argument);
	case F_GETLK: case F_OFD_GETLK:
		return get_lock(fd, command, argument);
	default:
		break;
	}
	if (command == F_SETLEASE)
		POINTS_TALK(int, fcntl, (fd, command, argument));
	return REAL(fcntl)(fd, command, argument);
}

/* A list of one argument is passed as the argument is. */
EXPORT int points_fcntl(int fd, int command, void *argument) WIDE_SYMBOL(fcntl, fcntl64);
EXPORT int points_fcntl(int fd, int command, void *argument)
{
	if (points_any())
		return talk_of_locks(fd, command, argument);
	return REAL(fcntl)(fd, command, argument);
}

/* From where the file is at. */
__attribute__((noinline)) static off_t cut_size(int fd, off_t size)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_len = size};

	cut(fd, &lock);
	return lock.l_len;
}

EXPORT int lockf(int fd, int command, off_t size)
{
	if (points_any() && command != F_ULOCK)
		size = cut_size(fd, size);
	POINTS_TALK(int, lockf, (fd, command, size));
}

_Static_assert(sizeof(off_t) == sizeof(off64_t), "lockf64 is lockf");
EXPORT_WIDE(lockf64, lockf);
WIDE_ALIAS_AS(points_fcntl, fcntl64, fcntl);
