/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What ipc_share.c and ipc_share_copy.c share. */
#ifndef SHMEMU_FUSE_IPC_SHARE_I_H
#define SHMEMU_FUSE_IPC_SHARE_I_H

#include "base/semwords.h"
#include "base/slots.h"
#include "fuse/hash.h"
#include "fuse/ipc_share.h"

/* A view of one, made when it is first needed. */
struct ipc_shared {
	uint64_t serial;
	uint64_t at; /* where its object is, as long as that has the same serial */
	enum wire_family family;
	void *memory;
	size_t size;
	struct slots slots;
	struct semwords words;
	bool is_listed; /* among the frozen */
	bool owes_wake; /* frozen, and who sleeps is asleep yet, ... */
	struct queue was; /* ... for what it was then */
	struct ipc_shared *prev, *next;
	UT_hash_handle hh;
};

/* ipc_share_copy.c. From the memory, which is frozen, into the arena, as part of a turn. 0 or
 * -errno. */
int ipc_share_import(struct ipc *ipc, const struct ipc_object *object,
                     const struct ipc_shared *shared);
/* Into the memory, which stays frozen; it stays in the arena as well. false: it can't be now. */
bool ipc_share_export(struct ipc *ipc, const struct ipc_object *object,
                      const struct ipc_shared *shared);
/* A queue's messages are in the memory: in the arena there are none. Part of a turn. */
void ipc_share_empty(struct ipc *ipc, const struct ipc_object *object);

#endif
