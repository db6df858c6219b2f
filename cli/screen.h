/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The terminal as a screen that is redrawn, and left as it was found, however the program ends: but
 * for a SIGKILL. While it is stopped (Ctrl-Z, SIGTSTP) the terminal is as it was, too. */
#ifndef SHMEMU_CLI_SCREEN_H
#define SHMEMU_CLI_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

/* Is standard output a terminal that can be redrawn? */
bool screen_is_there(void);

/* From now on the terminal shows another screen, and keys are read one by one. */
void screen_begin(void);
void screen_end(void);

/* Shows these lines, which end with "\n" and are no wider than the screen, from its top: as many as
 * it has rows. */
void screen_draw(const char *lines, size_t size);

/* Waits for a key for at most so long: returns it, SCREEN_CHANGED when all is to be drawn anew (the
 * terminal has another size, or the program was stopped), or SCREEN_TIMEOUT. */
enum { SCREEN_TIMEOUT = -1, SCREEN_CHANGED = -2 };
int screen_wait(long long milliseconds);

#endif
