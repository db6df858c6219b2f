/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Colours on standard output. */
#ifndef SHMEMU_CLI_COLOUR_H
#define SHMEMU_CLI_COLOUR_H

#include <stdbool.h>

enum colour { COLOUR_GOOD, COLOUR_WARN, COLOUR_BAD, COLOUR_DIM, COLOUR_BOLD };

/* What --color can be, up to NULL. */
extern const char *const colour_whens[];

/* Whether there are to be any. `when` is what --color says, or NULL: it was not given. Ends the
 * program with one line where it is none of them. */
bool colour_is_wanted(const char *when);

/* What begins it, as terminals want it. */
const char *colour_sequence(enum colour colour);

#endif
