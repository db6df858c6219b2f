/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A daemon whose worker kills itself at the moments that a kill from outside seldom meets: between
 * what a request changes, its answer, and the end of its turn. Linked with --wrap. See
 * clients/test_lanes.py. */
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/lane.h"

struct store;

bool __real_lane_take(struct lane *lane, struct wire_request *ret_request);
bool __wrap_lane_take(struct lane *lane, struct wire_request *ret_request);
void __real_lane_answer(struct lane *lane, enum lane_state how, const struct wire_reply *reply);
void __wrap_lane_answer(struct lane *lane, enum lane_state how, const struct wire_reply *reply);
void __real_store_turn_end(struct store *store);
void __wrap_store_turn_end(struct store *store);

enum { ONE_IN = 400 };

static void die_sometimes(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_nsec / 7 % ONE_IN == 0)
		syscall(SYS_tgkill, getpid(), getpid(), SIGKILL);
}

bool __wrap_lane_take(struct lane *lane, struct wire_request *ret_request)
{
	if (!__real_lane_take(lane, ret_request))
		return false;
	die_sometimes();
	return true;
}

void __wrap_lane_answer(struct lane *lane, enum lane_state how, const struct wire_reply *reply)
{
	die_sometimes();
	__real_lane_answer(lane, how, reply);
	die_sometimes();
}

void __wrap_store_turn_end(struct store *store)
{
	die_sometimes();
	__real_store_turn_end(store);
	die_sometimes();
}
