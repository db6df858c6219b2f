/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors of objects: ours, and the keeper's, which is told of one as soon as it is there. It
 * hears of one that goes only when the turn that lets it go has been committed: a keeper that has
 * too much is put right by the next worker, too little would be for good. */
#include <errno.h>
#include <stdlib.h>

#include "base/own.h"
#include "fuse/disposal.h"
#include "fuse/hash.h"
#include "fuse/ipc_share.h"
#include "fuse/keep.h"

struct held_key {
	uint64_t kind;
	uint64_t serial;
};

struct ipc_held {
	struct held_key key;
	int fd;       /* owned */
	bool fresh;   /* of the turn under way */
	bool leaving; /* with its commit */
	bool wanted;  /* after a restore */
	UT_hash_handle hh;
};

static struct ipc_held *find(const struct ipc *ipc, uint32_t kind, uint64_t serial)
{
	struct held_key key = {kind, serial};
	struct ipc_held *held;

	HASH_FIND(hh, ipc->held, &key, sizeof key, held);
	return held;
}

/* Takes fd. */
static struct ipc_held *add(struct ipc *ipc, uint32_t kind, uint64_t serial, int fd)
{
	struct ipc_held *held = calloc(1, sizeof *held);

	if (held) {
		held->key = (struct held_key){kind, serial};
		held->fd = fd;
		HASH_ADD(hh, ipc->held, key, sizeof held->key, held);
		/* With HASH_NONFATAL_OOM an element that could not be added has no table. */
		if (held->hh.tbl)
			return held;
	}
	free(held);
	close(fd);
	return NULL;
}

static void drop(struct ipc *ipc, struct ipc_held *held)
{
	HASH_DEL(ipc->held, held);
	if (held->key.kind == KEEP_BODY)
		ipc_share_drop(ipc, held->key.serial);
	if (ipc->keep)
		keep_drop(ipc->keep, (enum keep_kind)held->key.kind, held->key.serial);
	/* A fifo's or pipe's lock may be a client's. */
	disposal_close(held->fd);
	free(held);
}

int ipc_hold(struct ipc *ipc, uint32_t kind, uint64_t serial, int fd)
{
	struct ipc_held *held = find(ipc, kind, serial);
	int result = 0;

	if (ipc->keep)
		result = keep_put(ipc->keep, (enum keep_kind)kind, serial, fd);
	if (result < 0) {
		close(fd);
		return result;
	}
	ipc->held_touched = true;
	if (held) {
		close(held->fd);
		held->fd = fd;
		held->leaving = false;
		return 0;
	}
	held = add(ipc, kind, serial, fd);
	if (held) {
		held->fresh = true;
		return 0;
	}
	if (ipc->keep)
		keep_drop(ipc->keep, (enum keep_kind)kind, serial);
	return -ENOMEM;
}

int ipc_held(const struct ipc *ipc, uint32_t kind, uint64_t serial)
{
	const struct ipc_held *held = find(ipc, kind, serial);

	return held && !held->leaving ? held->fd : -1;
}

void ipc_let_go(struct ipc *ipc, uint32_t kind, uint64_t serial)
{
	struct ipc_held *held = find(ipc, kind, serial);

	if (held)
		held->leaving = ipc->held_touched = true;
}

int ipc_held_restore(struct ipc *ipc, uint32_t kind, uint64_t id, int fd)
{
	return add(ipc, kind, id, fd) ? 0 : -ENOMEM;
}

static void drop_if(struct ipc *ipc, bool (*is_to_go)(const struct ipc_held *held))
{
	struct ipc_held *held;
	struct ipc_held *next;

	HASH_ITER(hh, ipc->held, held, next)
		if (is_to_go(held))
			drop(ipc, held);
}

static bool is_leaving(const struct ipc_held *held)
{
	return held->leaving;
}

static bool is_fresh(const struct ipc_held *held)
{
	return held->fresh;
}

static bool is_unwanted(const struct ipc_held *held)
{
	return !held->wanted;
}

void ipc_held_commit(struct ipc *ipc)
{
	struct ipc_held *held;
	struct ipc_held *next;

	if (!ipc->held_touched)
		return;
	ipc->held_touched = false;
	drop_if(ipc, is_leaving);
	HASH_ITER(hh, ipc->held, held, next)
		held->fresh = false;
}

void ipc_held_roll_back(struct ipc *ipc)
{
	struct ipc_held *held;
	struct ipc_held *next;

	if (!ipc->held_touched)
		return;
	ipc->held_touched = false;
	drop_if(ipc, is_fresh);
	HASH_ITER(hh, ipc->held, held, next)
		held->leaving = false;
}

void ipc_held_want(struct ipc *ipc, uint64_t serial)
{
	for (uint32_t kind = KEEP_SEGMENT; kind <= KEEP_BODY; kind++) {
		struct ipc_held *held = find(ipc, kind, serial);

		if (held)
			held->wanted = true;
	}
}

void ipc_held_drop_unwanted(struct ipc *ipc)
{
	drop_if(ipc, is_unwanted);
}

void ipc_held_free(struct ipc *ipc)
{
	struct ipc_held *held;
	struct ipc_held *next;

	HASH_ITER(hh, ipc->held, held, next) {
		HASH_DEL(ipc->held, held);
		close(held->fd);
		free(held);
	}
}
