/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one judge of sizes that people write. */
#ifndef SHMEMU_BASE_SIZE_H
#define SHMEMU_BASE_SIZE_H

#include <stdint.h>

/* For a mistake's line. */
#define SIZE_WORDS "a number of bytes, maybe with k, m, g or t, or a percentage of memory"

/* Reads a number with k, m, g or t (either case) behind it, or %: of the host's memory, as tmpfs's
 * mount options have it. Returns 0, or -EINVAL for anything else, and for 2^60 and more. */
int size_parse(const char *text, uint64_t *ret_bytes);

/* Likewise a number of things: k, m, g and t, but no %. */
int size_parse_count(const char *text, uint64_t *ret_count);

#endif
