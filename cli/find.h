/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the other parts of shmemu lie: found from where the tool itself does, so that a tree
 * can be moved. */
#ifndef SHMEMU_CLI_FIND_H
#define SHMEMU_CLI_FIND_H

#include <limits.h>

struct parts {
	char daemon[PATH_MAX];
	char library[PATH_MAX];
};

/* Ends the program with one line if either is not there. */
void find_parts(struct parts *ret_parts);

#define FIND_TRACER "libshmemu-trace.so"

/* What `shmemu trace` puts before the library, and that. The same. */
void find_tracer(char ret_tracer[static PATH_MAX], char ret_library[static PATH_MAX]);

/* What LD_PRELOAD is to be for that library: its path, or, where there is another for 32-bit
 * programs, one with the loader's word for the part that differs. */
void find_preload(const struct parts *parts, char ret_preload[static PATH_MAX]);

/* The library that `shmemu without` puts beneath programs. The same. */
void find_shim(char ret_path[static PATH_MAX]);

#endif
