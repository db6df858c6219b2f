/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All that a daemon holds: names of segments and semaphores, System V IPC, message queues. */
#ifndef SHMEMU_CLI_OBJECTS_H
#define SHMEMU_CLI_OBJECTS_H

#include <stdbool.h>

#include "base/client_ipc.h"

enum object_kind {
	OBJECT_SEGMENT,   /* of shm_open */
	OBJECT_SEMAPHORE, /* of sem_open */
	OBJECT_FOLDER,    /* below /dev/shm */
	OBJECT_SHM,       /* of System V, as the next two */
	OBJECT_SEM,
	OBJECT_MSG,
	OBJECT_QUEUE,     /* of mq_open */
	OBJECT_KIND_COUNT,
};

enum object_state {
	OBJECT_FREE,
	OBJECT_HELD,    /* somebody has it open, mapped or attached, or waits for it */
	OBJECT_ORPHAN,  /* nobody does, and who made it, and who used it last, are gone */
	OBJECT_REMOVED, /* it goes with the last that holds it: it has no name or key any more */
};

#define OBJECT_UNKNOWN UINT64_MAX

struct object {
	enum object_kind kind;
	enum object_state state;
	char name[WIRE_NAME_SIZE + 1]; /* as people write it: "/NAME", or a key in hexadecimal */
	uint32_t uid;
	uint32_t mode;
	uint64_t size;                 /* bytes; OBJECT_SEM: semaphores */
	uint64_t resident;             /* bytes of memory, or OBJECT_UNKNOWN */
	int64_t birth;                 /* seconds since the epoch; 0: not known */
	uint32_t maker;                /* its pid */
	const char *command;           /* the maker's */
	const struct wire_entry *entry;   /* of the first three kinds, else NULL */
	const struct wire_ipc_entry *ipc; /* of the others */
};

/* "segment", as in a table, and "System V shared memory", as in a sentence. */
const char *object_kind_name(enum object_kind kind);
const char *object_kind_words(enum object_kind kind);
const char *object_state_name(enum object_state state);

/* For WIRE_...: which family, or 0 for the first three kinds. */
enum wire_family object_family(enum object_kind kind);

/* Calls `visit` for each that there is: names in the order they were made, then IPC by kind. With
 * `flags` WIRE_LIST_HOLDERS states are told, else all but OBJECT_REMOVED is OBJECT_FREE; with
 * WIRE_LIST_BIRTH births of names are. What `visit` is given is gone when it returns. An older
 * daemon has no IPC, and tells less. Returns 0 or -errno. */
int objects_each(int sock, uint32_t flags,
                 void (*visit)(void *context, const struct object *object), void *context);

#endif
