/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* IPC without a door: processes that ask, wait and end, by hand. */
#ifndef SHMEMU_TESTS_UNIT_IPC_ASK_H
#define SHMEMU_TESTS_UNIT_IPC_ASK_H

#include <stdbool.h>

#include "fuse/anon.h"
#include "fuse/ipc_i.h"
#include "fuse/peer.h"

/* Who asks. */
struct asker {
	struct peer peer;
	uint64_t connection; /* its own, and with 1 << 32 that of its presence */
	struct wire_handle presence;
	uint64_t capabilities;
	/* What it waits with: */
	bool waits;
	struct ipc_waiter waiter;
	struct ipc_call call;
	/* What came of the last one: */
	int result;
	struct wire_ipc_told told;
	int fd; /* owned */
};

extern struct ipc *ipc;

/* What the host says, in the place of ipc_limits.c. */
struct ask_host {
	struct ipc_limits limits;
	int32_t next_id; /* -1: none */
	gid_t huge_group;
};

extern struct ask_host ask_host;

/* Makes `ipc`, with memory of the kind, or skips the test. */
void ipc_ask_init(enum anon_kind kind, uint64_t size);
/* The daemon is killed, and another has its arena and no connection. 0 or -errno. */
int ipc_ask_restart(void);
void ipc_ask_deinit(void); /* for a suite's end of each test */

/* Another, with a presence of its own; `capabilities` is 1 << CAP_... */
void asker_init(struct asker *asker, pid_t pid, uid_t uid, gid_t gid, uint64_t capabilities);
/* Another that `parent` has forked. */
void asker_fork(struct asker *asker, struct asker *parent, pid_t pid);
/* It dies. */
void asker_end(struct asker *asker);

/* Asks, twice, the first time in vain: a turn that is rolled back and served again does the same.
 * Then all who can get on do. Returns the result, or IPC_WAITS. */
int ask_ipc_op(struct asker *asker, enum wire_op op, struct wire_ipc asked, const void *bytes);

/* What came with the last answer. */
extern char ipc_text[WIRE_BYTES_MAX];

int ask_get(struct asker *asker, uint32_t family, int32_t key, uint64_t size, uint32_t flags);
int ask_control(struct asker *asker, uint32_t family, int32_t id, int32_t command);
struct wire_ipc_stat ask_status(struct asker *asker, uint32_t family, int32_t id);

#endif
