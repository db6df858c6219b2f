/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An array, since numbers only grow: adding is appending, finding is halving, and what is removed
 * leaves a gap until gaps are half of it. */
#include "fuse/order.h"

#include <errno.h>
#include <stdlib.h>

enum { ROOM_FIRST = 64 };

/* The place of the first slot with a greater number. */
static size_t place_after(const struct order *order, uint64_t number)
{
	size_t low = 0;
	size_t high = order->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (order->slots[middle].number <= number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void close_gaps(struct order *order)
{
	size_t kept = 0;

	for (size_t at = 0; at < order->count; at++)
		if (order->slots[at].thing)
			order->slots[kept++] = order->slots[at];
	order->count = kept;
	order->removed = 0;
}

int order_add(struct order *order, uint64_t number, void *thing)
{
	if (order->count == order->room) {
		size_t room = order->room ? 2 * order->room : ROOM_FIRST;
		struct order_slot *slots = reallocarray(order->slots, room, sizeof *slots);

		if (!slots)
			return -ENOMEM;
		order->slots = slots;
		order->room = room;
	}
	order->slots[order->count++] = (struct order_slot){number, thing};
	return 0;
}

void order_remove(struct order *order, uint64_t number)
{
	size_t at = place_after(order, number);

	if (!at || order->slots[at - 1].number != number || !order->slots[at - 1].thing)
		return;
	order->slots[at - 1].thing = NULL;
	order->removed++;
	if (order->removed > ROOM_FIRST && order->removed > order->count / 2)
		close_gaps(order);
}

void *order_after(const struct order *order, uint64_t number)
{
	for (size_t at = place_after(order, number); at < order->count; at++)
		if (order->slots[at].thing)
			return order->slots[at].thing;
	return NULL;
}

void *order_before(const struct order *order, uint64_t number)
{
	for (size_t at = number ? place_after(order, number - 1) : order->count; at > 0; at--)
		if (order->slots[at - 1].thing)
			return order->slots[at - 1].thing;
	return NULL;
}

void order_deinit(struct order *order)
{
	free(order->slots);
	*order = (struct order){.slots = NULL};
}
