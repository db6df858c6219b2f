/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Points by which what is in emulated mappings goes and comes: views.h. Nothing where there are
 * none, and nothing in a child of vfork: it has its parent's memory, and descriptors of its own. */
#ifndef SHMEMU_PRELOAD_POINTS_H
#define SHMEMU_PRELOAD_POINTS_H

#include "preload/views.h"

/* The library's own record locks are from here on, where no byte can be: views.h. */
#define POINTS_LOCKS_END ((off_t)1 << 62)

/* Are there mappings that points are for? Asked before each call by which processes talk. */
static inline bool points_any(void)
{
	return __builtin_expect(views_shared_any(), 0);
}

/* errno stays. */
__attribute__((cold)) void points_release(void);
__attribute__((cold)) void points_acquire(void);

/* The same, where there is something to be done. */
static inline void points_tell(void)
{
	if (points_any())
		points_release();
}

static inline void points_hear(void)
{
	if (points_any())
		points_acquire();
}

/* The function behind, between points; and where nothing comes back, after one. They return from
 * whoever has them. */
#define POINTS_TALK(result_type, name, arguments) \
	do { \
		result_type points_result; \
\
		if (!points_any() && REAL_IS_THERE(name)) \
			return REAL_KNOWN(name) arguments; \
		points_tell(); \
		points_result = REAL(name) arguments; \
		points_hear(); \
		return points_result; \
	} while (0)

#endif
