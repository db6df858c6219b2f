/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Things in the order of numbers that only grow, found by number. */
#ifndef SHMEMU_FUSE_ORDER_H
#define SHMEMU_FUSE_ORDER_H

#include <stddef.h>
#include <stdint.h>

struct order_slot {
	uint64_t number;
	void *thing; /* NULL: was removed */
};

struct order {
	struct order_slot *slots; /* owned */
	size_t count;
	size_t room;
	size_t removed; /* of count */
};

/* Adds a thing (borrowed) with a number greater than any before. Returns 0 or -ENOMEM. */
int order_add(struct order *order, uint64_t number, void *thing);
void order_remove(struct order *order, uint64_t number);

/* The first thing whose number is greater, or NULL. */
void *order_after(const struct order *order, uint64_t number);

/* The last thing whose number is less (0: the last of all), or NULL. */
void *order_before(const struct order *order, uint64_t number);

void order_deinit(struct order *order);

#endif
