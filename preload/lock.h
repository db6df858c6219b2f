/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The library's lock. Held for moments, never while waiting for another process, except that what
 * is written to or read from an emulated mapping's file is under it, and that a process with a
 * presence asks for its child's before it forks. */
#ifndef SHMEMU_PRELOAD_LOCK_H
#define SHMEMU_PRELOAD_LOCK_H

#include <stdbool.h>
#include <stdint.h>

/* With all signals blocked: a handler may fork, or come here again, and then waits for the lock
 * that its own thread has. Returns the mask to go back to. Not recursive. */
uint64_t lock_take(void);
void lock_leave(uint64_t before);

/* The same where all signals are blocked already. */
void lock_enter(void);
void lock_exit(void);

/* The lock of the attachments of shared memory, from before the daemon counts one until it is in
 * the table, so that no child is forked in between. It comes before the other one, and its holder
 * may wait for the daemon. */
uint64_t lock_take_attachments(void);
void lock_leave_attachments(uint64_t before);
/* Has this thread it? Its own allocator may be unmapping something. */
bool lock_has_attachments(void);

#endif
