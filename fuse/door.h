/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The socket door: the store for programs with the library. */
#ifndef SHMEMU_FUSE_DOOR_H
#define SHMEMU_FUSE_DOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/wire.h"

struct door;
struct ipc;
struct keep;
struct loop;
struct store;
struct limits;
struct marks;
struct tokens;

struct door_options {
	unsigned idle_seconds;        /* see below; 0: never */
	uint64_t connections_of_user; /* that one uid may have, but for root and our own; 0: any */
	bool guard; /* a segment that is held is not unlinked by Python's resource tracker */
	const char *mountpoint;   /* what the library is told of; borrowed; NULL: there is none */
	struct tokens *tokens;    /* for open files at the mount; borrowed; NULL: there are none */
	struct limits *limits;    /* likewise */
	struct ipc *ipc;          /* likewise */
	const struct marks *marks; /* likewise: those of the store; NULL: there are none */
	int marks_file;           /* borrowed */
	struct wire_roads roads;  /* likewise, but for the limits */
	/* For whoever wants to know when there is no connection, and when the first is to come: he
	 * says how many milliseconds it must wait. Either both or none. */
	void (*alone)(void *details);
	int (*disturb)(void *details);
	void *details;
};

/* Serves the store (borrowed) on a listening SEQPACKET socket (taken) from the loop (borrowed).
 * Connections are kept by `keep` (borrowed; NULL: by nobody). `idle_seconds` after the last
 * connection, the last name and the last of IPC are gone the loop is stopped. Returns 0 or
 * -errno. */
int door_new(struct door **ret_door, struct loop *loop, struct store *store, struct keep *keep,
             int listener, const struct door_options *options);

/* Goes on with a connection (taken) that an earlier worker had. Returns 0 or -errno. */
int door_restore(struct door *door, uint64_t number, int sock);

/* The same for a lane of one of those that are restored, and its process's pidfd (both borrowed),
 * which the keeper has by this id. */
void door_restore_lane(struct door *door, uint64_t id, int file, int pidfd);

/* All are restored: serves first the one whose request the earlier worker was killed in. */
void door_restore_end(struct door *door);

/* Closes all connections. Accepts and returns NULL. */
struct door *door_free(struct door *door);

#endif
