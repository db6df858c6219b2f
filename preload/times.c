/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Setting times: all forms come to utimensat. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <utime.h>

#include "preload/export.h"
#include "preload/real.h"
#include "preload/way.h"

static long utimens_natively(const struct errand *errand, int dirfd, const char *path,
                             bool nofollow)
{
	return way_result(REAL(utimensat)(dirfd, path, errand->details,
	                                          nofollow ? AT_SYMLINK_NOFOLLOW : 0));
}

static int emu_utimens(int dirfd, const char *path, const struct timespec *times, int flags)
{
	/* Nothing is to be done, and nothing is looked at. */
	if (times && times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT)
		return 0;
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return (int)way_go(dirfd, path, &(struct errand){
		.natively = utimens_natively,
		.nofollow = flags & AT_SYMLINK_NOFOLLOW,
		.details = (void *)(uintptr_t)times,
	});
}

/* NULL: now. */
static int emu_utimes(int dirfd, const char *path, const struct timeval *times, int flags)
{
	struct timespec finer[2];

	if (!times)
		return emu_utimens(dirfd, path, NULL, flags);
	/* What can't be is refused by the kernel, after it has looked at the path. */
	for (int i = 0; i < 2; i++) {
		finer[i].tv_sec = times[i].tv_sec;
		finer[i].tv_nsec = times[i].tv_usec * 1000;
	}
	return emu_utimens(dirfd, path, finer, flags);
}

static int emu_utime(const char *path, const struct utimbuf *times)
{
	struct timespec finer[2] = {{0}};

	if (!times)
		return emu_utimens(AT_FDCWD, path, NULL, 0);
	finer[0].tv_sec = times->actime;
	finer[1].tv_sec = times->modtime;
	return emu_utimens(AT_FDCWD, path, finer, 0);
}

EXPORT int utime(const char *filename, const struct utimbuf *times)
{
	if (way_is_foreign(AT_FDCWD, filename))
		return REAL(utime)(filename, times);
	return export_named("utime", filename, emu_utime(filename, times));
}

EXPORT int utimes(const char *filename, const struct timeval times[2])
{
	if (way_is_foreign(AT_FDCWD, filename))
		return REAL(utimes)(filename, times);
	return export_named("utimes", filename, emu_utimes(AT_FDCWD, filename, times, 0));
}

EXPORT int lutimes(const char *filename, const struct timeval times[2])
{
	if (way_is_foreign(AT_FDCWD, filename))
		return REAL(lutimes)(filename, times);
	return export_named("lutimes", filename,
	                    emu_utimes(AT_FDCWD, filename, times, AT_SYMLINK_NOFOLLOW));
}

EXPORT int futimesat(int dirfd, const char *pathname, const struct timeval times[2])
{
	if (way_is_foreign(dirfd, pathname))
		return REAL(futimesat)(dirfd, pathname, times);
	return export_named("futimesat", pathname, emu_utimes(dirfd, pathname, times, 0));
}

EXPORT int utimensat(int dirfd, const char *pathname, const struct timespec times[2], int flags)
{
	if (way_is_foreign(dirfd, pathname))
		return REAL(utimensat)(dirfd, pathname, times, flags);
	return export_named("utimensat", pathname, emu_utimens(dirfd, pathname, times, flags));
}
