/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All that a daemon holds, as of one moment. */
#ifndef SHMEMU_CLI_LISTING_H
#define SHMEMU_CLI_LISTING_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/objects.h"

struct holders;

struct listed {
	struct object object; /* its entry and ipc are NULL */
	size_t place;         /* among all, in the daemon's order */
	char command[WIRE_COMMAND_SIZE];
	uint64_t device, file; /* by which its holders are found; of IPC 0 */
	int64_t id;            /* of System V; else -1 */
	bool is_ipc;           /* the next three are told */
	uint64_t count;        /* attachments, semaphores or messages */
	uint64_t most;         /* messages of a queue that there may be */
	uint32_t processes;    /* that have it attached, or wait */
};

struct listing {
	struct listed *all;
	size_t count;
	size_t orphans;
	size_t room;
	struct holders *holders;
};

#define LISTING_NULL ((struct listing){.all = NULL})

/* Asks the daemon, and /proc; with `orphans` alone the others are left out. In the daemon's order.
 * Returns 0, or -errno of a daemon that does not answer, and then there is nothing. Ends the
 * program when there is no memory. */
int listing_read(int sock, bool orphans, struct listing *ret_listing);
void listing_free(struct listing *listing); /* empties it */

enum listing_order { LISTING_BY_RESIDENT, LISTING_BY_SIZE, LISTING_BY_AGE, LISTING_BY_NAME };

/* The largest and the oldest first; those that are equal as the daemon has them. */
void listing_sort(struct listing *listing, enum listing_order order);

#endif
