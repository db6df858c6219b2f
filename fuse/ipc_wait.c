/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who waits: a list, in the order of waiting, and on record in the arena.
 *
 * A turn that a kill has cut off is served again before anything else, with the same outcome, which
 * may depend on who waits: whether a notice is sent, what GETNCNT is, whether what has been given
 * may be taken by who has not waited. So the next worker has to know who has waited, and where,
 * before it serves anything. A record changes nothing that a turn changes, and needs no log: it is
 * there when its last word is. That the request which it finds in the socket is the one that was
 * put to wait, and had the right to, is told by a hash that nobody else can make. */
#include <stdlib.h>

#include "fuse/ipc_i.h"
#include "fuse/siphash.h"

struct ipc_wait {
	uint64_t connection; /* 0: the record is free; written last */
	uint64_t hash;       /* of the request */
	uint64_t serial;     /* the object's */
	uint64_t blocked_on;
	int64_t since;
	uint64_t next_free; /* of this worker's free ones: its index and 1; 0: the last */
};

_Static_assert(sizeof(struct ipc_wait) <= IPC_WAIT_SIZE, "a slot of the table");

void ipc_waiter_add(struct ipc *ipc, struct ipc_waiter *waiter)
{
	struct ipc_waiter *before = ipc->waiters_last;

	while (before && before->since > waiter->since)
		before = before->prev;
	waiter->prev = before;
	waiter->next = before ? before->next : ipc->waiters;
	if (waiter->next)
		waiter->next->prev = waiter;
	else
		ipc->waiters_last = waiter;
	if (before)
		before->next = waiter;
	else
		ipc->waiters = waiter;
}

void ipc_waiter_remove(struct ipc *ipc, struct ipc_waiter *waiter)
{
	if (waiter->prev)
		waiter->prev->next = waiter->next;
	else
		ipc->waiters = waiter->next;
	if (waiter->next)
		waiter->next->prev = waiter->prev;
	else
		ipc->waiters_last = waiter->prev;
	waiter->prev = waiter->next = NULL;
}

static struct ipc_waiter *first_of(struct ipc_waiter *waiter, uint64_t serial)
{
	while (waiter && serial && waiter->serial != serial)
		waiter = waiter->next;
	return waiter;
}

struct ipc_waiter *ipc_waiter_first(struct ipc *ipc, uint64_t serial)
{
	return first_of(ipc->waiters, serial);
}

struct ipc_waiter *ipc_waiter_after(struct ipc_waiter *waiter, uint64_t serial)
{
	return first_of(waiter->next, serial);
}

static const struct ipc_wait *wait_at(const struct ipc *ipc, uint64_t index)
{
	uint64_t at = arena_tables(&ipc->arena) + IPC_WAITS_AT + index * IPC_WAIT_SIZE;

	return (const struct ipc_wait *)(ipc->arena.bytes + at);
}

static uint64_t waits_top(const struct ipc *ipc)
{
	uint64_t top = ipc_header(ipc)->waits_top;

	return top < IPC_WAITS_MAX ? top : IPC_WAITS_MAX;
}

static void give_back(struct ipc *ipc, uint64_t index)
{
	const struct ipc_wait *wait = wait_at(ipc, index);

	IPC_FILL(ipc, wait->connection, 0);
	IPC_FILL(ipc, wait->next_free, ipc->waits_free);
	ipc->waits_free = index + 1;
}

/* The index of a free one and 1, or 0. */
static uint64_t take(struct ipc *ipc)
{
	uint64_t top = waits_top(ipc);
	uint64_t record = ipc->waits_free;

	if (record && record <= top) {
		ipc->waits_free = wait_at(ipc, record - 1)->next_free;
		return record;
	}
	if (top == IPC_WAITS_MAX ||
	    arena_claim(&ipc->arena, arena_offset(&ipc->arena, wait_at(ipc, top)), IPC_WAIT_SIZE) <
	            0)
		return 0;
	IPC_FILL(ipc, ipc_header(ipc)->waits_top, top + 1);
	return top + 1;
}

void ipc_wait_note(struct ipc *ipc, struct ipc_waiter *waiter, const struct wire_request *request,
                   size_t size)
{
	const struct ipc_wait *wait;

	waiter->record = take(ipc);
	if (!waiter->record)
		return;
	wait = wait_at(ipc, waiter->record - 1);
	IPC_FILL(ipc, wait->hash, siphash(ipc_header(ipc)->key, request, size));
	IPC_FILL(ipc, wait->serial, waiter->serial);
	IPC_FILL(ipc, wait->blocked_on, waiter->blocked_on);
	IPC_FILL(ipc, wait->since, (uint64_t)waiter->since);
	IPC_FILL(ipc, wait->connection, waiter->connection);
}

void ipc_wait_move(struct ipc *ipc, const struct ipc_waiter *waiter)
{
	if (waiter->record)
		IPC_FILL(ipc, wait_at(ipc, waiter->record - 1)->blocked_on, waiter->blocked_on);
}

void ipc_wait_end(struct ipc *ipc, struct ipc_waiter *waiter)
{
	if (waiter->record)
		give_back(ipc, waiter->record - 1);
	waiter->record = 0;
}

struct ipc_recalled {
	uint64_t connection;
	uint64_t index;
	bool waits;
};

static int by_connection(const void *left, const void *right)
{
	const struct ipc_recalled *one = left;
	const struct ipc_recalled *other = right;

	return (one->connection > other->connection) - (one->connection < other->connection);
}

bool ipc_recall_begin(struct ipc *ipc)
{
	struct ipc_recalls *recalls = &ipc->recalls;
	uint64_t top = ipc->arena.bytes ? waits_top(ipc) : 0;

	*recalls = (struct ipc_recalls){.all = top ? calloc(top, sizeof *recalls->all) : NULL};
	for (uint64_t index = 0; recalls->all && index < top; index++)
		if (wait_at(ipc, index)->connection)
			recalls->all[recalls->count++] = (struct ipc_recalled){
				wait_at(ipc, index)->connection, index};
	if (recalls->count)
		qsort(recalls->all, recalls->count, sizeof *recalls->all, by_connection);
	return recalls->count != 0;
}

static struct ipc_recalled *find_recalled(const struct ipc *ipc, uint64_t connection)
{
	const struct ipc_recalls *recalls = &ipc->recalls;
	const struct ipc_recalled wanted = {.connection = connection};

	return bsearch(&wanted, recalls->all, recalls->count, sizeof wanted, by_connection);
}

bool ipc_recall_knows(const struct ipc *ipc, uint64_t connection, int64_t *ret_since)
{
	const struct ipc_recalled *recalled = find_recalled(ipc, connection);

	*ret_since = recalled ? wait_at(ipc, recalled->index)->since : 0;
	return recalled != NULL;
}

bool ipc_recall(struct ipc *ipc, struct ipc_waiter *waiter, const struct wire_request *request,
                size_t size)
{
	struct ipc_recalled *recalled = find_recalled(ipc, waiter->connection);
	const struct ipc_wait *wait = recalled ? wait_at(ipc, recalled->index) : NULL;

	if (!wait || recalled->waits || wait->hash != siphash(ipc_header(ipc)->key, request, size))
		return false;
	recalled->waits = true;
	waiter->record = recalled->index + 1;
	waiter->serial = wait->serial;
	waiter->blocked_on = (uint32_t)wait->blocked_on;
	waiter->since = wait->since;
	return true;
}

void ipc_recall_end(struct ipc *ipc)
{
	struct ipc_recalls *recalls = &ipc->recalls;
	uint64_t top = ipc->arena.bytes ? waits_top(ipc) : 0;

	for (size_t i = 0; i < recalls->count; i++)
		if (!recalls->all[i].waits)
			IPC_FILL(ipc, wait_at(ipc, recalls->all[i].index)->connection, 0);
	ipc->waits_free = 0;
	for (uint64_t index = top; index-- > 0;)
		if (!recalls->all || !wait_at(ipc, index)->connection)
			give_back(ipc, index);
	free(recalls->all);
	*recalls = (struct ipc_recalls){0};
}
