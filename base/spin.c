/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/spin.h"

#include <stdatomic.h>

/* Less than a SHARE of the longest time is not worth it. */
enum { SHARE = 8, REST_MIN = 16 };

static uint32_t get(_Atomic uint32_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static void set(_Atomic uint32_t *value, uint32_t to)
{
	atomic_store_explicit(value, to, memory_order_relaxed);
}

uint32_t spin_begin(struct spin *spin)
{
	uint32_t budget = get(&spin->budget);
	uint32_t rest = get(&spin->rest);

	if (budget || !rest)
		return budget ? budget : spin->try_longest;
	set(&spin->rest, rest - 1);
	return 0;
}

static uint32_t doubled(uint64_t time, uint32_t longest)
{
	return time < longest / 2 ? 2 * (uint32_t)time : longest;
}

/* What came at once does not tell that the next does: so nothing becomes shorter here. */
void spin_paid(struct spin *spin, uint64_t took)
{
	uint32_t budget = get(&spin->budget);

	if (budget < spin->longest / SHARE)
		budget = spin->longest / SHARE;
	set(&spin->budget, doubled(took > budget ? took : budget, spin->longest));
	set(&spin->patience, 0);
}

void spin_failed(struct spin *spin)
{
	uint32_t budget = get(&spin->budget) / 2;
	uint32_t rest = 2 * get(&spin->patience);

	if (budget >= spin->longest / SHARE) {
		set(&spin->budget, budget);
		return;
	}
	rest = rest < REST_MIN ? REST_MIN : rest;
	rest = rest > spin->rest_most ? spin->rest_most : rest;
	set(&spin->budget, 0);
	set(&spin->patience, rest);
	set(&spin->rest, rest);
}
