/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers for people, as lsipc(1) and lsblk(8) have them. */
#ifndef SHMEMU_CLI_HUMAN_H
#define SHMEMU_CLI_HUMAN_H

#include <stdint.h>

enum { HUMAN_SIZE = 24 };

/* "0B", "1000B", "1.5K", "64M": in powers of 1024, with one digit behind the point at most. Returns
 * `text`. */
const char *human_bytes(char text[static HUMAN_SIZE], uint64_t bytes);

/* "59s", "12m", "23h", "400d"; of less than nothing "0s". */
const char *human_age(char text[static HUMAN_SIZE], int64_t seconds);

#endif
