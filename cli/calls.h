/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory and size calls of this host: which it has, found out by making them, and what the
 * library does about those that it has not. By libc's functions, not by system calls: a shim may
 * be what refuses them. The library itself must not be loaded, or it is what answers. */
#ifndef SHMEMU_CLI_CALLS_H
#define SHMEMU_CLI_CALLS_H

#include "cli/facts.h"

/* In the order they are to be told. */
extern const size_t call_count;

const char *call_name(size_t call);

/* Whether the host has it, and in words what is done about it. */
struct fact call_find(size_t call);

/* How the library maps here (SHMEMU_MMAP), and whether atomics and futexes work between processes
 * in what it maps. */
struct fact call_find_setting(void);
struct fact call_find_atomics(void);

#endif
