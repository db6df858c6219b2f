/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The shape of an exported wrapper: the only place where errno is written. */
#ifndef SHMEMU_PRELOAD_EXPORT_H
#define SHMEMU_PRELOAD_EXPORT_H

#include <errno.h>

#include "preload/trace.h"
#include "preload/wide.h"

#define EXPORT __attribute__((visibility("default")))

/* The same function by another name, where both have the same arguments by now. */
#define EXPORT_SAME(name, as) \
	extern __typeof__(name) name __attribute__((alias(#as), visibility("default")))

/* The same with a 64-bit off_t: see wide.h. */
#define EXPORT_WIDE(name, as) WIDE_ALIAS(name, as)

/* >= 0 stays and leaves errno alone; -errno becomes -1 and errno. */
static inline long export_long(long result)
{
	if (result >= 0)
		return result;
	errno = (int)-result;
	return -1;
}

static inline int export_result(int result)
{
	return (int)export_long(result);
}

/* The same for a call that we answered on a path, which is traced. */
static inline long export_sized(const char *call, const char *path, long result)
{
	trace_name(call, path, result);
	return export_long(result);
}

static inline int export_named(const char *call, const char *path, long result)
{
	return (int)export_sized(call, path, result);
}

#endif
