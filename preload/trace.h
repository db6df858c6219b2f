/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHMEMU_LOG=trace: each call that we answered, in strace's form. `result` is as our own code has
 * it. */
#ifndef SHMEMU_PRELOAD_TRACE_H
#define SHMEMU_PRELOAD_TRACE_H

#include <sys/types.h>

void trace_open(const char *call, const char *name, int oflag, mode_t mode, long result);
void trace_name(const char *call, const char *name, long result);
void trace_address(const char *call, const void *address, int result);
/* A call on an id, a key or another number. */
void trace_number(const char *call, long number, long result);

#endif
