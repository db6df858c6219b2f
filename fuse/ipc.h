/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* System V IPC and message queues, as door_ipc.c and the worker see them.
 *
 * All of it is in an arena that is made with the first request. An operation is a turn: the door
 * commits it when its answer is through and the request is out of the socket, so that a worker
 * killed before leaves a turn that its successor rolls back, and serves the same request again with
 * the same outcome. What a presence's end does is a turn as well, without an asker: see
 * ipc_begin_lone. */
#ifndef SHMEMU_FUSE_IPC_H
#define SHMEMU_FUSE_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/wire_ipc.h"

struct anon;
struct ipc;
struct ipc_waiter;
struct keep;
struct peer;
struct store_creator;

enum { IPC_WAITS = 1 << 30 }; /* no result of any operation */

/* What an operation gets, and what it leaves. */
struct ipc_call {
	const struct wire_request *request; /* with its wire_ipc and bytes */
	const struct wire_ipc *asked;       /* in it */
	const void *bytes;                  /* likewise: asked->length */
	struct peer *peer;                  /* who asks: pid, uid, gid, groups, capabilities */
	uint64_t connection;                /* its number */
	const struct store_creator *(*creator)(struct ipc_call *call); /* for what is made */
	int passed; /* the descriptor that came, or -1; borrowed */
	/* Left: */
	struct wire_ipc_told told;
	void *text;      /* the door's room of WIRE_BYTES_MAX bytes, for told.length */
	int fd;          /* the answer's, owned by the door; -1: none */
	uint64_t waits_for; /* IPC_WAITS: the object's serial */
	uint32_t blocked_on; /* likewise: SEM: semnum, with IPC_BLOCKED_ON_ZERO; MQ, MSG: 0 */
};

#define IPC_BLOCKED_ON_ZERO 0x80000000U

/* `anon` and `keep` are borrowed (keep NULL: nobody keeps). */
int ipc_new(struct ipc **ret_ipc, struct anon *anon, struct keep *keep);
struct ipc *ipc_free(struct ipc *ipc); /* accepts and returns NULL; all is still kept */
/* All that there is goes, as when the daemon ends for good. */
void ipc_discard(struct ipc *ipc);

/* Is one of the keeper's things (KEEP_ARENA, KEEP_SEGMENT, KEEP_QUEUE, KEEP_NOTICE): taken. The
 * arena comes first, and the others are looked at when its turn is ended (ipc_restore_end). */
int ipc_restore(struct ipc *ipc, uint32_t kind, uint64_t id, int fd);
/* A connection that is still there. */
void ipc_restore_connection(struct ipc *ipc, uint64_t connection);
/* Is there a turn to be ended? */
bool ipc_is_dirty(const struct ipc *ipc);
/* Is this, with its wire_ipc behind it, the request whose turn was the last? */
bool ipc_is_turn(const struct ipc *ipc, const struct wire_request *request);
/* All have come. `serve_again`: the turn's request is still in its socket, so it is rolled back;
 * else an asker's turn stands if it was all done. What was begun without an asker is rolled back in
 * any case. Drops from the keeper what has no object. */
void ipc_restore_end(struct ipc *ipc, bool serve_again);
/* The turn's request has been served again, if it was to be: nothing may come before it, as its
 * asker may have had the first answer. Ends the presences whose connection is gone. */
void ipc_restore_done(struct ipc *ipc);

/* Has nothing: a daemon without anything else may end. */
bool ipc_is_empty(const struct ipc *ipc);

/* One operation on IPC: its result, -errno, or IPC_WAITS, and then nothing has been changed. The
 * turn is begun by it and is the caller's to end. */
int ipc_perform(struct ipc *ipc, struct ipc_call *call);
/* The same of what is answered without: it waited for too long, or can't be done. */
void ipc_refuse(struct ipc *ipc, const struct wire_request *request);
void ipc_commit(struct ipc *ipc); /* also drops from the keeper what the turn has removed */
void ipc_roll_back(struct ipc *ipc);

/* A connection has ended: if it was a presence, what that held goes, in turns of its own, each
 * committed. Any other: nothing. */
void ipc_connection_ended(struct ipc *ipc, uint64_t connection);

/* Readable when a process has ended that had lost its presence's connection before, by running
 * another program: then look. Borrowed; -1: there is no such thing. What such processes have to
 * undo is undone, in turns of its own. */
int ipc_linger_fd(const struct ipc *ipc);
void ipc_linger_look(struct ipc *ipc);

/* An object that has changed since it was last returned, so that those who wait for it are to be
 * tried again, the longest first, until none gets on; 0: no more. */
uint64_t ipc_next_changed(struct ipc *ipc);

/* Who waits, as the door has them; for GETNCNT, who is served next and the like. The door calls
 * ipc_waiter_add when an operation has said IPC_WAITS for the first time, and _remove when it is
 * over. In the order of waiting. */
struct ipc_waiter {
	struct ipc_waiter *prev, *next; /* of all, the longest first */
	uint64_t serial;                /* the object's */
	uint64_t connection;
	uint32_t op;                    /* WIRE_SEM_OP, ... */
	uint32_t blocked_on;
	int64_t since;
	int64_t deadline;               /* WIRE_NO_DEADLINE: none */
	uint32_t pid;
	const struct wire_ipc *asked;   /* with its bytes; the door's copy */
	uint64_t record;                /* ipc_wait.c's; 0: none */
};

void ipc_waiter_add(struct ipc *ipc, struct ipc_waiter *waiter); /* sorted by since */
void ipc_waiter_remove(struct ipc *ipc, struct ipc_waiter *waiter);
struct ipc_waiter *ipc_waiter_first(struct ipc *ipc, uint64_t serial); /* 0: of all */
struct ipc_waiter *ipc_waiter_after(struct ipc_waiter *waiter, uint64_t serial);

/* That it waits is put on record for the next worker, with its whole request; that it is blocked on
 * something else now; that it waits no longer, when its request is out of the socket. Without a
 * record, for want of memory, it is one that comes when the next worker serves already. */
void ipc_wait_note(struct ipc *ipc, struct ipc_waiter *waiter, const struct wire_request *request,
                   size_t size);
void ipc_wait_move(struct ipc *ipc, const struct ipc_waiter *waiter);
void ipc_wait_end(struct ipc *ipc, struct ipc_waiter *waiter);

/* Before ipc_restore_end: is there anything on record? Then each connection that ipc_recall_knows
 * is asked about with what is in its socket; true: that is what has waited, and serial, blocked_on,
 * since and record are set. */
bool ipc_recall_begin(struct ipc *ipc);
bool ipc_recall_knows(const struct ipc *ipc, uint64_t connection, int64_t *ret_since);
bool ipc_recall(struct ipc *ipc, struct ipc_waiter *waiter, const struct wire_request *request,
                size_t size);
void ipc_recall_end(struct ipc *ipc); /* in any case; the other records are void */

#endif
