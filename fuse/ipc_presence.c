/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes. A presence's number is its record's place and how many there have been before: it is
 * found at once, and never given again. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "fuse/hash.h"
#include "fuse/ipc_share.h"
#include "fuse/peer.h"

_Static_assert(IPC_PRESENCES_MAX - 1 == WIRE_OWNER_MASK, "its index");

enum { INDEX_MASK = IPC_PRESENCES_MAX - 1, NAP_MILLISECONDS = 10 };

/* Where the presence of a connection is; what counts is the record there. */
struct ipc_link {
	uint64_t connection;
	uint64_t at; /* 0: it has none */
	UT_hash_handle hh;
};

static struct ipc_link *find_link(const struct ipc *ipc, uint64_t connection)
{
	struct ipc_link *link;

	HASH_FIND(hh, ipc->links, &connection, sizeof connection, link);
	return link;
}

static struct ipc_link *add_link(struct ipc *ipc, uint64_t connection)
{
	struct ipc_link *link = find_link(ipc, connection);

	if (link)
		return link;
	link = calloc(1, sizeof *link);
	if (!link)
		return NULL;
	link->connection = connection;
	HASH_ADD(hh, ipc->links, connection, sizeof link->connection, link);
	/* With HASH_NONFATAL_OOM an element that could not be added has no table. */
	if (link->hh.tbl)
		return link;
	free(link);
	return NULL;
}

static void remove_link(struct ipc *ipc, struct ipc_link *link)
{
	HASH_DEL(ipc->links, link);
	free(link);
}

static const struct ipc_presence *presence_at(const struct ipc *ipc, uint64_t index)
{
	uint64_t at = arena_tables(&ipc->arena) + IPC_PRESENCES_AT + index * IPC_PRESENCE_SIZE;

	return (const struct ipc_presence *)(ipc->arena.bytes + at);
}

int ipc_presence_of(const struct ipc *ipc, const struct wire_handle *handle,
                    const struct ipc_presence **ret_presence)
{
	uint64_t index = handle->number & INDEX_MASK;
	const struct ipc_presence *presence;

	*ret_presence = NULL;
	if (!handle->number && !handle->secret)
		return 0;
	if (!handle->number || index >= ipc_header(ipc)->presences_top)
		return -ESTALE;
	presence = presence_at(ipc, index);
	if (presence->number != handle->number || presence->secret != handle->secret ||
	    !presence->connection)
		return -ESTALE;
	*ret_presence = presence;
	return 0;
}

const struct ipc_presence *ipc_presence_next(const struct ipc *ipc,
                                             const struct ipc_presence *after)
{
	const struct ipc_presence *first = presence_at(ipc, 0);
	const struct ipc_presence *end = presence_at(ipc, ipc_header(ipc)->presences_top);
	const char *at = (const char *)first;

	if (after)
		at = (const char *)after + IPC_PRESENCE_SIZE;
	for (; at < (const char *)end; at += IPC_PRESENCE_SIZE)
		if (((const struct ipc_presence *)at)->number)
			return (const struct ipc_presence *)at;
	return NULL;
}

/* A free record, or NULL. */
static const struct ipc_presence *claim(struct ipc *ipc, int *ret_result)
{
	const struct ipc_header *header = ipc_header(ipc);
	uint64_t top = header->presences_top;
	const struct ipc_presence *presence;

	*ret_result = 0;
	if (header->presences_free) {
		presence = arena_at(&ipc->arena, header->presences_free, sizeof *presence);
		ARENA_SET(&ipc->arena, header->presences_free, presence->next_free);
		return presence;
	}
	*ret_result = -ENOSPC;
	if (top >= IPC_PRESENCES_MAX)
		return NULL;
	presence = presence_at(ipc, top);
	*ret_result = arena_claim(&ipc->arena, arena_offset(&ipc->arena, presence),
	                          IPC_PRESENCE_SIZE);
	if (*ret_result < 0)
		return NULL;
	ARENA_SET(&ipc->arena, header->presences_top, top + 1);
	return presence;
}

static uint64_t index_of(const struct ipc *ipc, const struct ipc_presence *presence)
{
	return (uint64_t)((const char *)presence - (const char *)presence_at(ipc, 0)) /
	       IPC_PRESENCE_SIZE;
}

static void tell(struct ipc_call *call, const struct ipc_presence *presence)
{
	call->told.handle = (struct wire_handle){presence->number, presence->secret};
}

/* It is the asker's from now on. */
static int pass_on(struct ipc *ipc, struct ipc_call *call, const struct ipc_presence *presence)
{
	if (!presence || presence->connection != call->connection)
		return -ESTALE;
	ARENA_SET(&ipc->arena, presence->pid, (uint32_t)call->peer->pid);
	ARENA_SET(&ipc->arena, presence->start, 0);
	tell(call, presence);
	return 0;
}

/* The record is free. */
static void give_back(struct ipc *ipc, const struct ipc_presence *presence)
{
	const struct ipc_header *header = ipc_header(ipc);

	ARENA_SET(&ipc->arena, presence->next_free, header->presences_free);
	ARENA_SET(&ipc->arena, header->presences_free, arena_offset(&ipc->arena, presence));
	ARENA_SET(&ipc->arena, header->presences, header->presences - 1);
	ARENA_SET(&ipc->arena, presence->number, 0);
}

/* What the process has to undo it has to undo as another program, too. */
static void take_over(struct ipc *ipc, const struct ipc_presence *old,
                      const struct ipc_presence *presence)
{
	ARENA_SET(&ipc->arena, presence->undos, old->undos);
	ARENA_SET(&ipc->arena, presence->start, old->start);
	ARENA_SET(&ipc->arena, old->undos, 0);
	give_back(ipc, old);
}

static bool has_presence(const struct ipc *ipc, const struct ipc_link *link)
{
	const struct ipc_presence *presence = link->at
		? (const struct ipc_presence *)(ipc->arena.bytes + link->at) : NULL;

	return presence && presence->number && presence->connection == link->connection;
}

int ipc_present(struct ipc *ipc, struct ipc_call *call)
{
	const struct ipc_header *header = ipc_header(ipc);
	struct ipc_link *link = add_link(ipc, call->connection);
	const struct ipc_presence *presence;
	const struct ipc_presence *parent;
	const struct ipc_presence *old;
	struct ipc_presence fresh;
	int result = ipc_presence_of(ipc, &call->asked->presence, &parent);

	if (result < 0)
		return result;
	if (call->asked->flags & WIRE_PRESENT_CHILD)
		return pass_on(ipc, call, parent);
	if (!link)
		return -ENOMEM;
	if (has_presence(ipc, link))
		return -EBUSY;
	presence = claim(ipc, &result);
	if (!presence)
		return result;
	fresh = (struct ipc_presence){
		.number = header->handle_next << IPC_INDEX_BITS | index_of(ipc, presence),
		.secret = ipc_secret(ipc),
		.connection = call->connection,
		.pid = (uint32_t)call->peer->pid,
		.uid = call->peer->actor.uid,
	};
	ARENA_SET(&ipc->arena, header->handle_next, header->handle_next + 1);
	ARENA_SET(&ipc->arena, header->presences, header->presences + 1);
	arena_set(&ipc->arena, presence, &fresh, sizeof fresh);
	link->at = arena_offset(&ipc->arena, presence);
	tell(call, presence);
	if (parent)
		return ipc_shm_inherit(ipc, parent, presence);
	old = ipc_linger_of(ipc, call->peer->pid);
	if (old)
		take_over(ipc, old, presence);
	return 0;
}

/* One turn after the other, until there is no more to do. */
static void leave(struct ipc *ipc, const struct ipc_presence *presence,
                  bool (*leave_one)(struct ipc *ipc, const struct ipc_presence *presence))
{
	bool more;

	do {
		ipc_begin_lone(ipc);
		more = leave_one(ipc, presence);
	} while (ipc_end_lone(ipc) && more);
}

void ipc_presence_end(struct ipc *ipc, const struct ipc_presence *presence)
{
	ipc_share_leave_begin(ipc, presence);
	leave(ipc, presence, ipc_sem_leave);
	leave(ipc, presence, ipc_shm_leave);
	leave(ipc, presence, ipc_mq_leave);
	ipc_share_leave_end(ipc, presence->number & WIRE_OWNER_MASK);
	ipc_begin_lone(ipc);
	give_back(ipc, presence);
	ipc_end_lone(ipc);
}

/* Its connection has ended: with its process, mostly, or with the program that this ran. */
static void leave_or_linger(struct ipc *ipc, const struct ipc_presence *presence)
{
	if (!presence->undos || !ipc_linger(ipc, presence)) {
		ipc_presence_end(ipc, presence);
		return;
	}
	leave(ipc, presence, ipc_shm_leave);
	leave(ipc, presence, ipc_mq_leave);
	ipc_share_leave_end(ipc, presence->number & WIRE_OWNER_MASK);
	ipc_begin_lone(ipc);
	ARENA_SET(&ipc->arena, presence->connection, 0);
	ipc_end_lone(ipc);
}

void ipc_connection_ended(struct ipc *ipc, uint64_t connection)
{
	struct ipc_link *link = find_link(ipc, connection);

	/* A turn may be under way yet: what this has held goes with those that are found gone. */
	if (ipc->is_restoring) {
		if (link)
			remove_link(ipc, link);
		return;
	}
	if (link && has_presence(ipc, link))
		leave_or_linger(ipc,
		                (const struct ipc_presence *)(ipc->arena.bytes + link->at));
	else if (ipc->arena.bytes && ipc_header(ipc)->used[WIRE_MQ])
		leave(ipc, NULL, ipc_mq_leave);
	if (link)
		remove_link(ipc, link);
}

void ipc_restore_connection(struct ipc *ipc, uint64_t connection)
{
	/* Without it a process that lives would be taken for dead. */
	while (ipc->arena.bytes && !add_link(ipc, connection))
		poll(NULL, 0, NAP_MILLISECONDS);
}

void ipc_presences_find(struct ipc *ipc)
{
	const struct ipc_presence *presence = NULL;
	struct ipc_link *link, *next;

	while ((presence = ipc_presence_next(ipc, presence))) {
		link = find_link(ipc, presence->connection);
		if (link)
			link->at = arena_offset(&ipc->arena, presence);
	}
	HASH_ITER(hh, ipc->links, link, next)
		if (!link->at)
			remove_link(ipc, link);
}

void ipc_presences_settle(struct ipc *ipc)
{
	const struct ipc_presence *presence = NULL;

	while ((presence = ipc_presence_next(ipc, presence)))
		if (!find_link(ipc, presence->connection))
			leave_or_linger(ipc, presence);
	if (ipc_header(ipc)->used[WIRE_MQ])
		leave(ipc, NULL, ipc_mq_leave);
}

void ipc_presences_free(struct ipc *ipc)
{
	struct ipc_link *link;
	struct ipc_link *next;

	HASH_ITER(hh, ipc->links, link, next)
		remove_link(ipc, link);
}
