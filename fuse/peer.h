/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sender of a request as the store's actor. */
#ifndef SHMEMU_FUSE_PEER_H
#define SHMEMU_FUSE_PEER_H

#include "base/fdpass.h"
#include "fuse/store.h"

struct peer {
	struct store_actor actor;
	pid_t pid;
	int sock; /* borrowed */
};

/* Fills in a peer for one message that came over `sock`. The peer must stay where it is while it
 * is used. */
void peer_init(struct peer *peer, const struct fdpass_sender *sender, int sock);

#endif
