/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The functions behind ours, for what is not our business: libc's, or another preloaded
 * library's. */
#ifndef SHMEMU_PRELOAD_REAL_H
#define SHMEMU_PRELOAD_REAL_H

#include <dirent.h>
#include <ftw.h>
#include <fts.h>
#include <glob.h>
#include <stdint.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <utime.h>

struct real {
#define CALL(result, name, arguments)
#define SAME(name, as)
#define PASSED(result, name, arguments) result(*name) arguments;
#include "preload/calls.def"
#undef CALL
#undef SAME
#undef PASSED
};

/* Resolved once, by the constructor or by the first call if that comes before it. What libc does
 * not have is NULL, and then no program that runs with it can have called ours. */
const struct real *real_calls(void);

/* The same, or NULL before they are resolved: for what is called meanwhile. */
const struct real *real_if_ready(void);

#endif
