/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls by which processes talk, as calls.def has them. While nothing is emulated each is a
 * look at one number and a jump. The real function is called, so a cancellation point is one. */
/* libc's header has none of them inline then. */
#ifndef __NO_INLINE__
#define __NO_INLINE__ 1
#endif

#include "preload/points.h"

#include "preload/boot.h"
#include "preload/export.h"
#include "preload/real.h"

void points_release(void)
{
	if (views_shared_any() && !boot_is_borrowed())
		views_release();
}

void points_acquire(void)
{
	if (views_shared_any() && !boot_is_borrowed())
		views_acquire();
}

extern ssize_t __pread_chk(int fd, void *buf, size_t count, off_t offset, size_t room)
	WIDE_SYMBOL(__pread_chk, __pread64_chk);

#define CALL(result, name, arguments)
#define SAME(name, as)
#define WIDE(name, as)
#define TIMED(name, as)
#define PASSED(result, name, arguments)
/* Where there are no points it costs two looks and one jump, and takes no stack. */
#define TALKS(result, name, parameters, arguments) \
	extern result name parameters; \
	static __attribute__((noinline)) result with_points_##name parameters \
	{ \
		POINTS_TALK(result, name, arguments); \
	} \
	EXPORT result name parameters \
	{ \
		if (!points_any() && REAL_IS_THERE(name)) \
			return REAL_KNOWN(name) arguments; \
		return with_points_##name arguments; \
	}
#define TELLS(result, name, parameters, arguments) \
	extern result name parameters; \
	static __attribute__((noinline)) result with_points_##name parameters \
	{ \
		points_tell(); \
		return REAL(name) arguments; \
	} \
	EXPORT result name parameters \
	{ \
		if (!points_any() && REAL_IS_THERE(name)) \
			return REAL_KNOWN(name) arguments; \
		return with_points_##name arguments; \
	}
#include "preload/calls.def"

_Static_assert(sizeof(off_t) == sizeof(off64_t), "pread64 is pread");
EXPORT_WIDE(pread64, pread);
EXPORT_WIDE(pwrite64, pwrite);
EXPORT_WIDE(preadv64, preadv);
EXPORT_WIDE(pwritev64, pwritev);
EXPORT_WIDE(preadv64v2, preadv2);
EXPORT_WIDE(pwritev64v2, pwritev2);

/* By names that old programs and libc's own libraries use, or no header has here. */
#define ALSO(name, as) \
	extern __typeof__(as) name; \
	EXPORT_SAME(name, as)

ALSO(__read, read);
ALSO(__write, write);
WIDE_ALSO(__pread64, pread, pread64);
WIDE_ALSO(__pwrite64, pwrite, pwrite64);
WIDE_ALIAS_AS(__pread_chk, __pread64_chk, __pread_chk);
EXPORT_WIDE(sendfile64, sendfile);
ALSO(__getdelim, getdelim);
