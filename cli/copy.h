/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a file holds, to another. */
#ifndef SHMEMU_CLI_COPY_H
#define SHMEMU_CLI_COPY_H

#include <stdbool.h>

/* Copies from where `from` is to its end, to where `to` is. Holes stay holes where both are regular
 * files. `what` is told with the progress. Returns 0, or -errno; then *ret_writes says whether it
 * was writing that failed. */
int copy_bytes(int from, int to, const char *what, bool *ret_writes);

#endif
