/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* This process's connections to the daemon, kept for the next request. */
#ifndef SHMEMU_PRELOAD_POOL_H
#define SHMEMU_PRELOAD_POOL_H

#include <sys/types.h>

enum { POOL_SIZE = 4 }; /* kept of each kind */

/* A connection in use by one thread. */
struct line {
	int sock; /* owned until put or cut */
	int slot; /* -1: not from the pool */
};

/* Takes a connection that nobody uses. Without one, sock is -1 and is to be set by the caller;
 * *ret_other is then -1, or a descriptor, owned by the caller, of a connection that another
 * thread, or the process that forked this one, may be using: for client_adopt only. */
struct line pool_take(int *ret_other);

/* The same for a request that may wait, and until it is answered no other is looked at in that
 * connection: so such ones are kept apart, and are never *ret_other. */
struct line pool_take_to_wait(int *ret_other);

/* The caller has set sock, and is about to wait over it: a child that is forked meanwhile closes
 * its copy, or the daemon would not see that we have died. */
void pool_note(struct line line);

/* Keeps it for the next request. */
void pool_put(struct line line);

/* Drops the lane in a slot if that is left and nobody uses the slot: else its user does. */
void pool_look_after(int slot);

/* Called by lock.c's handler. */
void pool_after_fork_child(void);

/* Closes it: out of step, or its daemon is gone. */
void pool_cut(struct line line);

/* Moves a descriptor out of the way of programs that count on the lowest numbers, or close what
 * they find there; taken. Where there is no room, it stays what it was. */
int pool_move_up(int fd);

/* A copy, close-on-exec, of a number out of the way; or -errno: there is no room. */
int pool_copy_up(int fd);

#endif
