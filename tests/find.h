/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The installed tree that is tested, SHMEMU_PREFIX, and programs for it, in SHMEMU_PROBES. */
#ifndef SHMEMU_TESTS_FIND_H
#define SHMEMU_TESTS_FIND_H

#include <stdbool.h>
#include <stddef.h>

/* PREFIX/bin/NAME. Never freed. */
const char *find_tool(const char *name);
const char *find_probe(const char *name); /* likewise: SHMEMU_PROBES/NAME */

/* libshmemu.so, wherever under PREFIX the libraries are. */
bool find_library(char *ret_path, size_t size);

#endif
