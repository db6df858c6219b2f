/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/look.h"

#include <time.h>

#include "base/spin.h"
#include "base/sys.h"

enum {
	SPINNING_NS = 50 * 1000, /* as long as it takes to wake the daemon */
	YIELDS = 2048,           /* about a millisecond, unless others have the core */
	YIELDING_NS = 10 * 1000 * 1000,
};

static struct spin spinning = SPIN_INIT(SPINNING_NS);
static struct spin yielding = SPIN_INIT(YIELDS);

uint64_t look_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

struct look look_begin(bool may_wait)
{
	return (struct look){
		.since = look_now(),
		.spinning = spin_begin(&spinning),
		.yields = may_wait ? 0 : spin_begin(&yielding),
	};
}

bool look_again(struct look *look)
{
	uint64_t took = look_now() - look->since;

	if (took < look->spinning)
		return true;
	if (look->spinning) {
		spin_failed(&spinning);
		look->spinning = 0;
	}
	if (look->yielded < look->yields && took < YIELDING_NS) {
		look->yielded++;
		sys_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
		return true;
	}
	/* While others have the core none of it is wasted. */
	if (look->yields && look->yielded == look->yields)
		spin_failed(&yielding);
	look->yields = 0;
	return false;
}

void look_end(const struct look *look)
{
	if (look->spinning)
		spin_paid(&spinning, look_now() - look->since);
	else if (look->yields)
		spin_paid(&yielding, look->yielded);
}
