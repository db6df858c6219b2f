/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether, and for how long, it pays to look again and again for what is to come before one sleeps
 * until it is there. To wake a sleeper on an idle core takes some 50 us, so it does where what is
 * waited for comes sooner. It does not where that can't come while one looks, with one core or when
 * the machine is busy: then it is given up, and tried again ever more rarely.
 *
 * It is a guess, and all threads' together, so nothing is ordered by it. */
#ifndef SHMEMU_BASE_SPIN_H
#define SHMEMU_BASE_SPIN_H

#include <stdint.h>

struct spin {
	uint32_t longest;          /* nanoseconds, or looks: the user's unit */
	uint32_t try_longest;      /* likewise, when it is tried whether it pays again: who is
	                              waited for may be asleep as well, which takes longer */
	uint32_t rest_most;        /* waits without, at most, between two tries */
	_Atomic uint32_t budget;   /* of the next wait; 0: it does not pay */
	_Atomic uint32_t rest;     /* waits until it is tried again */
	_Atomic uint32_t patience; /* the last such rest */
};

enum { SPIN_REST = 1024 };

#define SPIN_INIT(most)                                                                            \
	{.longest = (most), .try_longest = (most), .rest_most = SPIN_REST, .budget = (most)}

/* Before a wait: for how long to look, 0 for not at all. */
uint32_t spin_begin(struct spin *spin);

/* After a wait in which one looked: it was there after `took`, or it did not pay. */
void spin_paid(struct spin *spin, uint64_t took);
void spin_failed(struct spin *spin);

#endif
