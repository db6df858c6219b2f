/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* This process's presence at the daemon (wire_ipc.h): a connection whose end tells that the process
 * is gone. Made with the first call that needs it, guarded from programs that close everything,
 * renewed in the child of a fork by the fork's handlers. */
#ifndef SHMEMU_PRELOAD_PRESENCE_H
#define SHMEMU_PRELOAD_PRESENCE_H

#include <stdbool.h>

#include "base/wire_ipc.h"

/* The handle of this process, asked for if there is none yet. 0 or -errno as ask(). */
int presence_get(struct wire_handle *ret_handle);

/* Is that the number of this process's own? Then the handle, and nothing is asked for. */
bool presence_is(uint64_t number, struct wire_handle *ret_handle);

/* Whose claims ours are (base/slots.h), and our pid. */
struct presence_self {
	uint32_t pid;
	unsigned owner;
};

/* False: there is no presence. Lock-free. */
bool presence_self(struct presence_self *ret_self);

/* The daemon knows it no more (-ESTALE): another daemon serves by now. Forgets it, if it is still
 * this one. */
void presence_forget(const struct wire_handle *handle);

/* Called by lock.c's fork handlers, with the lock held. The parent, before: asks for one that the
 * child will have, if it has one itself. */
void presence_before_fork(void);
void presence_after_fork_parent(void);
void presence_after_fork_child(void);

#endif
