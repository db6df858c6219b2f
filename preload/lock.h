/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The library's one lock. Held for moments, never while waiting for another process, except that
 * what is written to or read from an emulated mapping's file is under it. */
#ifndef SHMEMU_PRELOAD_LOCK_H
#define SHMEMU_PRELOAD_LOCK_H

#include <stdint.h>

/* With all signals blocked: a handler may fork, or come here again, and then waits for the lock
 * that its own thread has. Returns the mask to go back to. Not recursive. */
uint64_t lock_take(void);
void lock_leave(uint64_t before);

/* The same where all signals are blocked already. */
void lock_enter(void);
void lock_exit(void);

#endif
