/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* This process's connections to the daemon, kept for the next request. */
#ifndef SHMEMU_PRELOAD_POOL_H
#define SHMEMU_PRELOAD_POOL_H

#include <sys/types.h>

enum { POOL_SIZE = 4 };

/* A connection in use by one thread. */
struct line {
	int sock; /* owned until put or cut */
	int slot; /* -1: not from the pool */
};

/* Takes a connection that nobody uses. Without one, sock is -1 and is to be set by the caller;
 * *ret_other is then -1, or a descriptor, owned by the caller, of a connection that another
 * thread, or the process that forked this one, may be using: for client_adopt only. */
struct line pool_take(int *ret_other);

/* Keeps it for the next request. */
void pool_put(struct line line);

/* Closes it: out of step, or its daemon is gone. */
void pool_cut(struct line line);

/* Moves a descriptor out of the way of programs that count on the lowest numbers, or close what
 * they find there; taken. Where there is no room, it stays what it was. */
int pool_move_up(int fd);

/* A copy, close-on-exec, of a number out of the way; or -errno: there is no room. */
int pool_copy_up(int fd);

#endif
