/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lanes of this process's kept connections: base/lane.h. Each is its connection's user's. */
#ifndef SHMEMU_PRELOAD_LANES_H
#define SHMEMU_PRELOAD_LANES_H

#include <stdbool.h>

#include "base/lane.h"
#include "preload/pool.h"

/* The line's lane, if it has one and this thread is who it was given to: else NULL. */
struct lane *lanes_of(struct line line);

/* A request that a lane takes was answered: who asks often asks for one. 0, or -errno: the line is
 * out of step. */
int lanes_learn(struct line line);

/* For that: is one to be asked for now? What has come of it; NULL: none. And none will ever. */
bool lanes_is_wanted(struct line line);
void lanes_put(struct line line, struct lane *lane);
void lanes_give_up_all(void);

/* It is of no use to this process. */
void lanes_give_up(struct line line);

/* The process is to have other ids: it keeps nothing by which it could ask as who it was. */
void lanes_forget_all(void);

/* For pool.c. The connection in a slot is no longer this one. `is_ours`: it was this process's, not
 * that of one which has forked it: only that has its memory. */
void lanes_drop(int slot, bool is_ours);
/* In a forked child, of a slot that was in use. If it was by this thread, and a signal handler has
 * forked, it goes on there in the end, and finds that the connection is over. */
void lanes_cut_off(int slot);
/* Has its lane been forgotten while it was in use? */
bool lanes_is_left(int slot);

#endif
