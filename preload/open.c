/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* open in all its forms. What is not ours goes to libc's function as it came, which keeps that a
 * cancellation point and a signal-safe call, at the price of looking at the path's first letters.
 */
#include <fcntl.h>
#include <pthread.h>

#include "base/own.h"
#include "preload/emu.h"
#include "preload/export.h"
#include "preload/known.h"
#include "preload/paths.h"
#include "preload/pool.h"
#include "preload/real.h"
#include "preload/sysv_proc.h"
#include "preload/umask.h"
#include "preload/views.h"
#include "preload/way.h"

struct opening {
	int flags;
	mode_t mode;
};

static bool takes_mode(int flags)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

static long open_natively(const struct errand *errand, int dirfd, const char *path, bool nofollow)
{
	const struct opening *opening = errand->details;

	return way_result(REAL(openat)(dirfd, path, opening->flags, opening->mode));
}

/* What comes O_PATH is opened here: the kernel judges, and waits where it is a fifo. */
static long open_stand_in(struct way *way, mode_t type, int flags)
{
	struct opening again = {flags & ~(O_CREAT | O_EXCL | O_NOFOLLOW), 0};

	/* tmpfs on /dev/shm has "nodev". */
	if (S_ISCHR(type) || S_ISBLK(type))
		return -EACCES;
	return way_natively(way, &(struct errand){.natively = open_natively, .details = &again});
}

/* A file's making by its name alone is the shorter request. What is there, and is no regular file,
 * is left to the other one: -ENXIO. */
static long create_by_name(const struct opening *opening, const struct way *way)
{
	int others = O_PATH | O_DIRECTORY | (O_TMPFILE & ~O_DIRECTORY);
	struct name name;
	long result;

	if (!(opening->flags & O_CREAT) || (opening->flags & others) || !way_root_name(way, &name))
		return -ENXIO;
	result = emu_create(&name, opening->flags, opening->mode);
	return result == -ELOOP || result == -EISDIR ? -ENXIO : result;
}

static long open_by_path(const struct opening *opening, struct way *way)
{
	struct wire_request request = wire_request_make(WIRE_OPEN_PATH);
	struct known_name sought = way_known_name(way);
	struct client_answer answer;
	mode_t type;
	long result;

	request.flags = (uint32_t)opening->flags;
	if (takes_mode(opening->flags))
		request.mode = opening->mode & ~umask_read();
	result = way_ask(way, &request, &answer);
	/* The root, by a path with a slash at its end, which has not come so far. */
	if (result == -EEXIST && !*way->path && way->path[-1] == '/')
		return -EISDIR;
	if (result < 0)
		return result;
	type = answer.told.stat.mode;
	if (S_ISDIR(type))
		way_had_folder();
	if (!S_ISREG(type) && !(opening->flags & O_PATH)) {
		/* Out of the way: the program gets the lowest number. */
		fd_close_at(&way->stand_in);
		way->stand_in = pool_move_up(answer.fd);
		return open_stand_in(way, type, opening->flags);
	}
	/* It comes close-on-exec, lest another thread's fork and exec take it along. */
	if (!(opening->flags & O_CLOEXEC))
		sys_fcntl(answer.fd, F_SETFD, 0);
	known_learn(&sought, answer.reply.roads.number, answer.told.stat.dev,
	            answer.told.stat.ino);
	return answer.fd;
}

static long open_served(const struct errand *errand, struct way *way)
{
	const struct opening *opening = errand->details;
	long result = create_by_name(opening, way);

	return result == -ENXIO ? open_by_path(opening, way) : result;
}

static int emu_open_path(int dirfd, const char *path, int flags, mode_t mode)
{
	struct known_name sought = way_known_path(path);
	struct opening opening = {flags, mode};
	struct stat ignored;
	int fd = sysv_proc_open(path, flags);

	if (fd != -ENOSYS)
		return fd;
	fd = known_open(&sought, flags, &ignored);
	if (fd >= 0)
		return fd;
	return (int)way_go(dirfd, path, &(struct errand){
		.natively = open_natively,
		.served = open_served,
		.nofollow = flags & O_NOFOLLOW,
		.details = &opening,
	});
}

static int open_ours(const char *call, int dirfd, const char *path, int flags, mode_t mode)
{
	int result;

	pthread_testcancel();
	result = emu_open_path(dirfd, path, flags, mode);
	trace_open(call, path, flags, mode, result);
	return export_result(result);
}

int path_open(int dirfd, const char *path, int flags, mode_t mode)
{
	int before = errno;
	long result;

	if (!way_is_foreign(dirfd, path))
		return emu_open_path(dirfd, path, flags, mode);
	result = way_result(REAL(openat)(dirfd, path, flags, mode));
	errno = before;
	return (int)result;
}

/* What is mapped of it, and emulated, is to know that it is empty. */
static int opened(int fd, int flags)
{
	if (__builtin_expect((flags & O_TRUNC) && fd >= 0 && views_any(), 0))
		views_empty(fd);
	return fd;
}

__attribute__((noinline)) static int open_carefully(const char *path, int flags, mode_t mode)
{
	if (way_is_foreign(AT_FDCWD, path))
		return opened(REAL(open)(path, flags, mode), flags);
	return opened(open_ours("open", AT_FDCWD, path, flags, mode), flags);
}

/* A list of one argument is passed as the argument is, and one that is not there is not looked at.
 */
EXPORT int open_file(const char *pathname, int flags, mode_t mode)
	WIDE_SYMBOL(open, open64);
EXPORT int open_file(const char *pathname, int flags, mode_t mode)
{
	if (way_is_plainly_foreign(AT_FDCWD, pathname) && !(flags & O_TRUNC) && REAL_IS_THERE(open))
		return REAL_KNOWN(open)(pathname, flags, mode);
	return open_carefully(pathname, flags, mode);
}

__attribute__((noinline)) static int open_carefully_at(int dirfd, const char *path, int flags,
                                                       mode_t mode)
{
	if (way_is_foreign(dirfd, path))
		return opened(REAL(openat)(dirfd, path, flags, mode), flags);
	return opened(open_ours("openat", dirfd, path, flags, mode), flags);
}

EXPORT int open_file_at(int dirfd, const char *pathname, int flags, mode_t mode)
	WIDE_SYMBOL(openat, openat64);
EXPORT int open_file_at(int dirfd, const char *pathname, int flags, mode_t mode)
{
	if (way_is_plainly_foreign(dirfd, pathname) && !(flags & O_TRUNC) && REAL_IS_THERE(openat))
		return REAL_KNOWN(openat)(dirfd, pathname, flags, mode);
	return open_carefully_at(dirfd, pathname, flags, mode);
}

EXPORT int creat(const char *pathname, mode_t mode)
{
	int flags = O_CREAT | O_WRONLY | O_TRUNC;

	if (way_is_foreign(AT_FDCWD, pathname))
		return opened(REAL(creat)(pathname, mode), flags);
	return opened(open_ours("creat", AT_FDCWD, pathname, flags, mode), flags);
}

/* Without a mode there must be no O_CREAT: glibc ends the program. */
EXPORT int __open_2(const char *pathname, int flags) WIDE_SYMBOL(__open_2, __open64_2);
EXPORT int __open_2(const char *pathname, int flags)
{
	if (takes_mode(flags) || way_is_foreign(AT_FDCWD, pathname))
		return REAL(__open_2)(pathname, flags);
	return open_ours("__open_2", AT_FDCWD, pathname, flags, 0);
}

EXPORT int __openat_2(int dirfd, const char *pathname, int flags)
	WIDE_SYMBOL(__openat_2, __openat64_2);
EXPORT int __openat_2(int dirfd, const char *pathname, int flags)
{
	if (takes_mode(flags) || way_is_foreign(dirfd, pathname))
		return REAL(__openat_2)(dirfd, pathname, flags);
	return open_ours("__openat_2", dirfd, pathname, flags, 0);
}

int __open64_2(const char *pathname, int flags);
int __openat64_2(int dirfd, const char *pathname, int flags);
WIDE_ALIAS_AS(open_file, open64, open);
WIDE_ALIAS_AS(open_file_at, openat64, openat);
EXPORT_WIDE(creat64, creat);
EXPORT_WIDE(__open64_2, __open_2);
EXPORT_WIDE(__openat64_2, __openat_2);
