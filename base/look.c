/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/look.h"

#include <stdatomic.h>
#include <time.h>

#include "base/spin.h"
#include "base/sys.h"

enum {
	SPINNING_NS = 50 * 1000, /* as long as it takes to wake the daemon */
	YIELDS = 2048,           /* about a millisecond, unless others have the core */
	YIELDING_NS = 10 * 1000 * 1000,
	CROWDED_NS = 500 * 1000,
	RESTS = 100, /* times as long */
};

static struct spin spinning = SPIN_INIT(SPINNING_NS);
static struct spin yielding = SPIN_INIT(YIELDS);
static _Atomic uint64_t crowded_until;

uint64_t look_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

struct look look_begin(bool may_wait)
{
	uint64_t now = look_now();

	if (now < atomic_load_explicit(&crowded_until, memory_order_relaxed))
		return (struct look){.since = now};
	return (struct look){
		.since = now,
		.spinning = spin_begin(&spinning),
		.yields = may_wait ? 0 : spin_begin(&yielding),
	};
}

struct look look_begin_surely(void)
{
	return (struct look){.since = look_now(), .spinning = SPINNING_NS, .is_sure = true};
}

bool look_again(struct look *look)
{
	uint64_t took = look_now() - look->since;

	if (took < look->spinning)
		return true;
	if (look->spinning && !look->is_sure)
		spin_failed(&spinning);
	else if (look->spinning)
		look->yields = YIELDS;
	look->spinning = 0;
	if (look->yielded < look->yields && took < YIELDING_NS) {
		look->yielded++;
		sys_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
		return true;
	}
	/* While others have the core none of it is wasted. */
	if (look->yields && look->yielded == look->yields && !look->is_sure)
		spin_failed(&yielding);
	look->yields = 0;
	return false;
}

/* Others want the core: who sleeps is woken before they have had their share of time, who looks or
 * lets them have it waits for the end of that. */
static void note_crowd(uint64_t now, uint64_t took)
{
	if (took > CROWDED_NS)
		atomic_store_explicit(&crowded_until, now + RESTS * took, memory_order_relaxed);
}

void look_end(const struct look *look)
{
	uint64_t now = look_now();

	if (look->spinning || look->yielded)
		note_crowd(now, now - look->since);
	if (look->is_sure)
		return;
	if (look->spinning)
		spin_paid(&spinning, now - look->since);
	else if (look->yields)
		spin_paid(&yielding, look->yielded);
}
