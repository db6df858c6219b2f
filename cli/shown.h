/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How texts look on a screen. */
#ifndef SHMEMU_CLI_SHOWN_H
#define SHMEMU_CLI_SHOWN_H

#include <stddef.h>

enum { SHOWN_ESCAPE = 4 }; /* columns of \xHH */

/* The first character of a text that is not empty: returns its bytes, and tells how many columns it
 * takes. What could steer a terminal, or is no character, is one byte, shown as \xHH. */
size_t shown_next(const char *text, size_t size, size_t *ret_columns);

#endif
