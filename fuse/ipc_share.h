/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Queues and sets of semaphores as memory that clients work on by themselves.
 *
 * Such an object's truth is in one place at a time: frozen, it is in the arena as that of any
 * other, and all that is done by the daemon needs no more; thawed, it is in the shared memory. It
 * is frozen before an operation looks at it, and thawed when the door has done all that there is to
 * do, if nobody waits for it and nobody is to be told of what comes.
 *
 * Whatever a client does to this memory can change what the object contains, which that client
 * may do anyway, and nothing else: see slots.h. Its size is sealed. */
#ifndef SHMEMU_FUSE_IPC_SHARE_H
#define SHMEMU_FUSE_IPC_SHARE_H

#include "fuse/ipc_i.h"

/* WIRE_IPC_SHARE. -EOPNOTSUPP: it can't be had so: on this host, or for what it is. */
int ipc_share(struct ipc *ipc, struct ipc_call *call);

/* WIRE_MQ_POLLED: its fifo is to show what there is from now on, so that it stays frozen. */
int ipc_share_polled(struct ipc *ipc, struct ipc_call *call);

/* Before an operation: freezes what it is about, in turns of its own. 0, or -ENOMEM. */
int ipc_share_before(struct ipc *ipc, const struct ipc_call *call);

/* The door has nothing more to do: thaws what can be. */
void ipc_share_after(struct ipc *ipc);

/* A presence ends: before its undo values count; and after, when its claims go, and others that
 * sleep have what it was woken for. */
int ipc_share_leave_begin(struct ipc *ipc, const struct ipc_presence *presence);
void ipc_share_leave_end(struct ipc *ipc, unsigned owner);

/* An object's body is no longer kept: those who share it see that it is gone. */
void ipc_share_drop(struct ipc *ipc, uint64_t serial);

/* After a restore: those that an earlier worker was freezing or thawing. */
void ipc_share_restore(struct ipc *ipc);
void ipc_share_free(struct ipc *ipc);

/* The daemon ends, and all objects with it: nobody sleeps for them any more. */
void ipc_share_discard(struct ipc *ipc);

/* Other clients' memory of it is to be of no use to them: its owner or mode changes. Of a frozen
 * one; part of the turn. */
void ipc_share_revoke(struct ipc *ipc, const struct ipc_object *object);

#endif
