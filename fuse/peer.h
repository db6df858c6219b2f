/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sender of a request as the store's actor. */
#ifndef SHMEMU_FUSE_PEER_H
#define SHMEMU_FUSE_PEER_H

#include "base/fdpass.h"
#include "fuse/proc.h"
#include "fuse/store.h"

struct peer {
	struct store_actor actor;
	pid_t pid;
	int sock; /* borrowed */
	/* Of /proc: read once for a message, and only if something depends on it. */
	bool is_read;
	bool is_known;   /* it was there, and is not another's */
	bool is_certain; /* it is the sender's beyond doubt */
	char status[PROC_STATUS_SIZE]; /* /proc/PID/status */
};

/* Fills in a peer for one message that came over `sock`. The peer must stay where it is while it
 * is used. */
void peer_init(struct peer *peer, const struct fdpass_sender *sender, int sock);

#endif
