/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls that shared memory needs: which this host has, which a program with the library has,
 * and how. Both are found out by making them, the second by this tool under the library. */
#ifndef SHMEMU_CLI_CALLS_H
#define SHMEMU_CLI_CALLS_H

#include "cli/facts.h"

enum { CALLS_MAX = 64 };

/* In the order they are to be told. At most CALLS_MAX. */
extern const size_t call_count;

const char *call_name(size_t call);

/* As trial_run. Of the host only if the library is not loaded, or it is what answers. */
int call_try(size_t call);

/* What call_try said of the host and said under the library, FACT_TOLD if that can't be known,
 * and in words what is done about it. */
struct fact call_describe(size_t call, int host, int library);

/* How the library maps here (SHMEMU_MMAP). */
struct fact call_find_setting(void);

#endif
