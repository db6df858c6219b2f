/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* No lock: a slot is taken and given back by a compare-and-swap, so a thread that forks, or
 * leaves a signal handler by longjmp, can at worst lose one slot, never stop another thread. A
 * slot's state names the process it belongs to; in a forked child all slots are strangers',
 * whatever their state was.
 *
 * Programs close descriptors that they did not open. Before a kept one is used it must still be
 * the socket that was put there: st_dev and st_ino tell, as no two sockets have the same. */
#include "preload/pool.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "base/own.h"

struct slot {
	_Atomic uint64_t state; /* pid << 1 | in use; 0: never used */
	int sock;               /* what follows is the user's, while in use */
	dev_t device;
	ino_t inode;
};

static struct slot slots[POOL_SIZE];

static bool holds_socket(const struct slot *slot)
{
	struct stat status;

	return slot->sock >= 0 && sys_fstat(slot->sock, &status) == 0 && S_ISSOCK(status.st_mode) &&
	       status.st_dev == slot->device && status.st_ino == slot->inode;
}

static bool claim(struct slot *slot, uint64_t self, uint64_t *ret_before)
{
	uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
	bool in_use = (state & 1) && state >> 1 == self;

	*ret_before = state;
	return !in_use &&
	       atomic_compare_exchange_strong_explicit(&slot->state, &state, self << 1 | 1,
	                                               memory_order_acquire, memory_order_relaxed);
}

struct line pool_take(int *ret_inherited)
{
	uint64_t self = (uint64_t)sys_getpid();

	*ret_inherited = -1;
	for (int at = 0; at < POOL_SIZE; at++) {
		struct slot *slot = &slots[at];
		struct line line = {.sock = -1, .slot = at};
		uint64_t before;

		if (!claim(slot, self, &before))
			continue;
		if (before && holds_socket(slot)) {
			if (before >> 1 == self)
				line.sock = slot->sock;
			else
				*ret_inherited = slot->sock;
		}
		slot->sock = -1;
		return line;
	}
	return (struct line){.sock = -1, .slot = -1};
}

static void give_back(int at)
{
	uint64_t self = (uint64_t)sys_getpid();

	if (at >= 0)
		atomic_store_explicit(&slots[at].state, self << 1, memory_order_release);
}

void pool_put(struct line line)
{
	struct stat status;

	if (line.slot < 0 || sys_fstat(line.sock, &status) < 0) {
		pool_cut(line);
		return;
	}
	slots[line.slot].sock = line.sock;
	slots[line.slot].device = status.st_dev;
	slots[line.slot].inode = status.st_ino;
	give_back(line.slot);
}

void pool_cut(struct line line)
{
	fd_close_at(&line.sock);
	give_back(line.slot);
}
