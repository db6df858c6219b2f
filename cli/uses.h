/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which of the calls that are shmemu's business a program, and the libraries that it is linked to,
 * take from libc. */
#ifndef SHMEMU_CLI_USES_H
#define SHMEMU_CLI_USES_H

#include <stddef.h>

#include "cli/binary.h"

/* "; asks for shm_open; libx.so.1 for sem_open": what there is to say behind something else, or
 * nothing. `path` is the program's. */
void uses_describe(const char *path, const struct binary *binary, char *ret_text, size_t size);

#endif
