/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls that clients can hold up for ever: those that take a fifo's lock, which who reads the fifo
 * to, or writes it from, memory that never comes does not give back. A thread makes them, and is
 * left to itself when it takes too long. */
#ifndef SHMEMU_FUSE_PATIENCE_H
#define SHMEMU_FUSE_PATIENCE_H

#include <stdint.h>

enum {
	PATIENCE_SHORT_MS = 20, /* for what may as well be done a moment later */
	PATIENCE_LONG_MS = 250,
};

typedef int patience_call(int fd, int argument);

/* Makes the call, with a duplicate of fd: its result. -EBUSY: it takes too long, or an earlier one
 * about the same subject does. If that is the same call it will be made once more, with this
 * argument. A result that nobody waits for any more is lost: only patience_open's is closed. */
int patience_do(uint64_t subject, patience_call *call, int fd, int argument, int milliseconds);

/* The same of a call that returns a descriptor. */
int patience_open(uint64_t subject, patience_call *call, int fd, int argument, int milliseconds);

/* Takes fd, which is closed when this returns, if its subject is not held up. */
void patience_close(uint64_t subject, int fd, int milliseconds);

#endif
