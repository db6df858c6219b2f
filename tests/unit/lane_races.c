/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/lane_races.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "base/lane.h"
#include "base/look.h"

enum { SCALES = 7, LOOKS = 200, LONG_NS = 900 * 1000 * 1000, SLICE_NS = 999 * 1000 * 1000 };

static struct race {
	struct lane lane;
	_Atomic int round; /* that both are in */
	_Atomic int there; /* who has come to the end of it, since the first */
	int rounds;
	void (*work)(int round, unsigned *seed); /* the worker's part of one */
	bool has_overslept;
	/* The worker's: of this round and of the last, which the client looks at in the end. */
	struct told {
		int served;
		uint64_t serial;
	} told[2];
} race;

/* Both leave it when both have come. */
static void meet(int round)
{
	int looks = 0;

	if (atomic_fetch_add(&race.there, 1) == 2 * round + 1)
		atomic_store(&race.round, round + 1);
	while (atomic_load(&race.round) <= round)
		if (++looks % LOOKS == 0)
			sched_yield();
}

static unsigned choose(unsigned *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 16;
}

/* Often for next to no time: what goes wrong does so in the time that a line of memory takes. */
static void dawdle(unsigned *seed)
{
	unsigned most = 1U << choose(seed) % SCALES;

	for (unsigned i = choose(seed) % most; i > 0; i--)
		look_pause();
}

static struct wire_request request_of(int round)
{
	struct wire_request request = wire_request_make(WIRE_UNLINK);

	wire_request_name(&request, "segment", 7);
	request.serial = (uint64_t)round + 1;
	return request;
}

static struct told *told(int round)
{
	return &race.told[round & 1];
}

static bool serve(int round)
{
	struct wire_request request;
	struct wire_reply reply = {.result = 0};

	if (!lane_take(&race.lane, &request))
		return false;
	told(round)->served++;
	told(round)->serial = request.serial;
	reply.serial = request.serial;
	lane_answer(&race.lane, LANE_ANSWERED, &reply);
	return true;
}

static bool is_served(int round)
{
	bool is_right = lane_look(&race.lane) == LANE_ANSWERED &&
	                race.lane.reply.serial == (uint64_t)round + 1;

	lane_done(&race.lane);
	return is_right;
}

/* Each round has two parts: what both do at once, and what one sees of it in peace. */
static void *be_worker(void *unused)
{
	unsigned seed = 2;

	for (int round = 0; round < race.rounds; round++) {
		*told(round) = (struct told){0};
		lane_set_looks(&race.lane, true);
		meet(2 * round);
		dawdle(&seed);
		race.work(round, &seed);
		meet(2 * round + 1);
	}
	return unused;
}

static bool run(int rounds, void (*work)(int round, unsigned *seed),
                bool (*ask)(int round, unsigned *seed))
{
	bool is_right = true;
	unsigned seed = 1;
	pthread_t thread;

	race = (struct race){.rounds = rounds, .work = work};
	if (pthread_create(&thread, NULL, be_worker, NULL) != 0)
		return false;
	for (int round = 0; round < rounds; round++)
		is_right &= ask(round, &seed);
	pthread_join(thread, NULL);
	return is_right;
}

static void take_some(int round, unsigned *seed)
{
	serve(round);
	dawdle(seed);
	serve(round);
}

static bool ask_and_give_up(int round, unsigned *seed)
{
	struct wire_request request = request_of(round);
	bool is_asked, is_given_up;

	meet(2 * round);
	is_asked = lane_ask(&race.lane, &request, false);
	dawdle(seed);
	is_given_up = is_asked && lane_give_up(&race.lane);
	/* The worker has written its part until then. */
	for (enum lane_state state = LANE_TAKEN; is_asked && !is_given_up && state == LANE_TAKEN;)
		state = lane_look(&race.lane);
	is_asked &= is_given_up || is_served(round);
	meet(2 * round + 1);
	return is_asked && told(round)->served == !is_given_up &&
	       (is_given_up || told(round)->serial == request.serial);
}

bool lane_race_give_up(int rounds)
{
	return run(rounds, take_some, ask_and_give_up);
}

static void look_no_longer(int round, unsigned *seed)
{
	(void)seed;
	lane_set_looks(&race.lane, false);
	serve(round);
}

static bool ask_in_time(int round, unsigned *seed)
{
	struct wire_request request = request_of(round);
	bool is_asked;

	meet(2 * round);
	dawdle(seed);
	is_asked = lane_ask(&race.lane, &request, false);
	if (is_asked && choose(seed) % 2)
		lane_sleep(&race.lane, 1);
	meet(2 * round + 1);
	if (!is_asked)
		return told(round)->served == 0 && lane_look(&race.lane) == LANE_FREE;
	return told(round)->served == 1 && is_served(round);
}

bool lane_race_last_look(int rounds)
{
	return run(rounds, look_no_longer, ask_in_time);
}

static void answer_late(int round, unsigned *seed)
{
	const struct timespec moment = {.tv_nsec = 1};

	if (choose(seed) % 8 == 0)
		nanosleep(&moment, NULL);
	while (!serve(round))
		sched_yield();
}

static bool ask_and_sleep(int round, unsigned *seed)
{
	struct wire_request request = request_of(round);
	uint64_t longest = 0;
	bool is_right;

	meet(2 * round);
	is_right = lane_ask(&race.lane, &request, false);
	dawdle(seed);
	while (is_right && lane_look(&race.lane) != LANE_ANSWERED) {
		uint64_t since = look_now();

		lane_sleep(&race.lane, race.has_overslept ? 1 : SLICE_NS);
		longest = look_now() - since > longest ? look_now() - since : longest;
	}
	race.has_overslept |= longest >= LONG_NS;
	is_right &= is_served(round) && !race.has_overslept;
	meet(2 * round + 1);
	return is_right;
}

bool lane_race_sleep(int rounds)
{
	return run(rounds, answer_late, ask_and_sleep);
}
