/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The shape of an exported wrapper: the only place where errno is written. */
#ifndef SHMEMU_PRELOAD_EXPORT_H
#define SHMEMU_PRELOAD_EXPORT_H

#include <errno.h>

#define EXPORT __attribute__((visibility("default")))

/* >= 0 stays and leaves errno alone; -errno becomes -1 and errno. */
static inline int export_result(int result)
{
	if (result >= 0)
		return result;
	errno = -result;
	return -1;
}

#endif
