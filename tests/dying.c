/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A daemon whose worker kills itself at the moments that a kill from outside seldom meets: between
 * what a request changes, its answer, and the end of its turn, one time in $DIES_ONE_IN. Not before
 * the daemon serves. Linked with --wrap. See clients/test_lanes.py and conform/test_ipc.c. */
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/lane.h"
#include "fuse/keep.h"

struct door;
struct store;

int __real_door_restore(struct door *door, uint64_t number, int sock);
int __wrap_door_restore(struct door *door, uint64_t number, int sock);
int __real_keep_say(const struct keep *keep, enum keep_op op, uint64_t id, int64_t value);
int __wrap_keep_say(const struct keep *keep, enum keep_op op, uint64_t id, int64_t value);
bool __real_lane_take(struct lane *lane, struct wire_request *ret_request);
bool __wrap_lane_take(struct lane *lane, struct wire_request *ret_request);
void __real_lane_answer(struct lane *lane, enum lane_state how, const struct wire_reply *reply);
void __wrap_lane_answer(struct lane *lane, enum lane_state how, const struct wire_reply *reply);
void __real_store_turn_end(struct store *store);
void __wrap_store_turn_end(struct store *store);

enum { ONE_IN = 400 };

static bool serves;

static void die_sometimes(void)
{
	const char *one_in = getenv("DIES_ONE_IN");
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (serves && now.tv_nsec / 7 % (one_in ? atoi(one_in) : ONE_IN) == 0)
		syscall(SYS_tgkill, getpid(), getpid(), SIGKILL);
}

/* An earlier worker has served already. */
int __wrap_door_restore(struct door *door, uint64_t number, int sock)
{
	serves = true;
	return __real_door_restore(door, number, sock);
}

int __wrap_keep_say(const struct keep *keep, enum keep_op op, uint64_t id, int64_t value)
{
	int result = __real_keep_say(keep, op, id, value);

	serves |= op == KEEP_READY;
	return result;
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
