/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHMEMU_TESTS_COMPARE_H
#define SHMEMU_TESTS_COMPARE_H

#include <stddef.h>

#include "tests/world.h"

/* Puts the first lines in which two texts differ into `report`, one pair a line; nothing if they
 * are equal. Returns how many lines differ. A line that must be another one in this kind of world
 * (differences.c) is wrong when it is not. */
int compare_lines(enum world_kind kind, uid_t uid, const char *expected, const char *found,
                  char *report, size_t size);

/* What a line of that class, "{class} and what it says", is for this user in this kind of world:
 * all of it, or NULL if it is as natively. `line` need not end where the line does. A "*" at
 * the end of what is returned stands for anything. */
const char *difference_of(enum world_kind kind, uid_t uid, const char *line, size_t length);

#endif
