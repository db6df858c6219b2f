/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What keeper and worker say to each other: SEQPACKET messages of one shape, each with at most one
 * descriptor. */
#ifndef SHMEMU_FUSE_KEEP_H
#define SHMEMU_FUSE_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Changes with any change of the messages or of what they mean. A worker says which versions it can
 * do, the keeper, which outlives workers, decides. A test builds workers of other versions. */
#ifndef KEEP_VERSION
#define KEEP_VERSION 2
#endif
#ifndef KEEP_VERSION_MIN
#define KEEP_VERSION_MIN 2
#endif

enum keep_op {
	KEEP_HELLO = 1, /* worker: id KEEP_VERSION, value the journal's version. The keeper drops a
	                   worker that it can't work with */
	KEEP_ITEM,      /* keeper: one of the things kept, with its descriptor */
	KEEP_GO,        /* keeper: that was all; value: KEEP_GO_... */
	KEEP_READY,     /* worker: serves */
	KEEP_PUT,       /* worker: keep this, with its descriptor. It is kept once it is sent: what
	                   is in the socket survives the sender */
	KEEP_DROP,      /* worker: no longer */
	KEEP_MOUNT,     /* worker: make a tmpfs of value bytes for the user id, and keep it.
	                   Answer: a KEEP_ITEM with it, or, without, -errno for its value */
	KEEP_RESIZE,    /* worker: give the tmpfs that you keep under kind and id a size of value
	                   bytes. Answer: a KEEP_ANSWER */
	KEEP_ANSWER,    /* keeper: value: 0 or -errno, -EBUSY: more is in use */
	KEEP_END,       /* worker: all is over; value: the exit status */
	KEEP_LEAVE,     /* keeper: another takes over: finish the request under way and exit */
	KEEP_STOP,      /* keeper: all is to end: say KEEP_END and exit */
};

enum keep_kind {
	KEEP_SEAT = 1,   /* the folder served (O_PATH) */
	KEEP_SOURCE,     /* where anonymous files come from; id: the worker's word for it */
	KEEP_NAMESPACE,  /* the user namespace that KEEP_SOURCE's mount was borrowed from, if it was
	                    */
	KEEP_USER_SOURCE, /* the same for one user; id: the uid */
	KEEP_JOURNAL,
	KEEP_LISTENER,
	KEEP_FUSE,       /* /dev/fuse; id: the mount's, as statx(2) has it */
	KEEP_FILE,       /* a segment; id: its inode number */
	KEEP_CONNECTION, /* a client's; id: its number */
	KEEP_NODES,      /* the folder of what is no regular file */
	KEEP_ARENA,      /* of IPC: arena.h */
	KEEP_SEGMENT,    /* shared memory of System V; id: its serial number */
	KEEP_QUEUE,      /* a message queue's fifo; id: likewise */
	KEEP_NOTICE,     /* a pipe's writing end; id: the queue's serial number */
	KEEP_BODY,       /* a queue or a set as shared memory; id: its serial number */
	KEEP_LANE,       /* a connection's lane; id: its number and its process's pid */
	KEEP_ASKER,      /* the pidfd of that process; the same id */
};

enum {
	KEEP_GO_CRASHED = 1, /* the last worker died of itself, not of a SIGKILL */
};

struct keep_message {
	uint32_t op;
	uint32_t kind;
	uint64_t id;
	int64_t value;
};

/* The worker's end. */
struct keep {
	int sock; /* owned */
};

/* Sends one message; `fd` is borrowed, -1 for none. Waits for room. Returns 0 or -errno; -EPIPE or
 * -ECONNRESET when the other end is gone. */
int keep_send(int sock, const struct keep_message *message, int fd);

/* Receives one message; *ret_fd is owned by the caller, or -1. Returns 1, 0 when the other end is
 * gone, or -errno: -EAGAIN with MSG_DONTWAIT in `flags`, -EPROTO for what is no message. */
int keep_receive(int sock, struct keep_message *ret_message, int *ret_fd, int flags);

/* Shorthands for the worker. Each returns 0 or -errno. */
int keep_put(const struct keep *keep, enum keep_kind kind, uint64_t id, int fd);
int keep_drop(const struct keep *keep, enum keep_kind kind, uint64_t id);
int keep_say(const struct keep *keep, enum keep_op op, uint64_t id, int64_t value);
int keep_resize(const struct keep *keep, enum keep_kind kind, uint64_t id, uint64_t size);

#endif
