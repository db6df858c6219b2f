/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHMEMU_TESTS_COMPARE_H
#define SHMEMU_TESTS_COMPARE_H

#include <stddef.h>

/* Puts the first lines in which two texts differ into `report`, one pair a line; nothing if they
 * are equal. Returns how many lines differ. */
int compare_lines(const char *expected, const char *found, char *report, size_t size);

#endif
