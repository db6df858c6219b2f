/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The functions behind ours, for what is not our business: libc's, or another preloaded
 * library's. */
#ifndef SHMEMU_PRELOAD_REAL_H
#define SHMEMU_PRELOAD_REAL_H

#include <sys/statvfs.h>

struct real {
#define CALL(result, name, arguments)
#define PASSED(result, name, arguments) result(*name) arguments;
#include "preload/calls.def"
#undef CALL
#undef PASSED
};

/* Resolved once, by the constructor or by the first call if that comes before it. What libc does
 * not have is NULL, and then no program that runs with it can have called ours. */
const struct real *real_calls(void);

#endif
