/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "base/lane.h"
#include "tests/unit/lane_races.h"

enum { PAGE = 4096, FILL = 0xa5, HUGE_LENGTH = 65535 };

/* So many bytes, and what lies on either side can't be touched. */
static void *guarded(size_t size, bool at_end)
{
	char *pages = mmap(NULL, (size_t)3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(pages, MAP_FAILED);
	cr_assert_eq(mprotect(pages + PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
	return at_end ? pages + (size_t)2 * PAGE - size : pages + PAGE;
}

static struct lane *new_lane(void)
{
	struct lane *lane = guarded(sizeof *lane, true);

	lane_set_looks(lane, true);
	return lane;
}

static struct wire_request open_request(void)
{
	struct wire_request request = wire_request_make(WIRE_OPEN);

	wire_request_name(&request, "segment", 7);
	request.flags = O_RDWR | O_CREAT;
	request.mode = 0600;
	request.serial = 17;
	request.initial_length = 3;
	memcpy(request.initial, "abc", 3);
	return request;
}

static bool is_filled(const void *bytes, size_t size, unsigned char with)
{
	for (size_t i = 0; i < size; i++)
		if (((const unsigned char *)bytes)[i] != with)
			return false;
	return true;
}

Test(lane, takes_names_alone)
{
	for (uint16_t op = 0; op < 256; op++) {
		struct wire_request request = {.header = {.op = op}};

		cr_expect_eq(lane_takes(&request), op == WIRE_OPEN || op == WIRE_UNLINK, "%d", op);
	}
}

Test(lane, who_asks_where_nobody_looks_has_not_asked)
{
	struct wire_request request = open_request();
	struct wire_request taken;
	struct lane *lane = new_lane();

	lane_set_looks(lane, false);
	cr_expect_not(lane_ask(lane, &request, false));
	cr_expect_eq(lane->state, LANE_FREE);
	cr_expect_not(lane_take(lane, &taken));
	cr_expect(is_filled(&lane->request, sizeof lane->request, 0), "nothing is copied");
}

Test(lane, a_request_goes_there_and_its_answer_back)
{
	struct wire_request request = open_request();
	struct wire_reply reply = {.result = 5, .serial = 17};
	struct lane *lane = new_lane();
	struct wire_request taken;

	cr_assert(lane_ask(lane, &request, true));
	cr_expect_eq(lane_look(lane), LANE_ASKED);
	cr_expect_eq(lane->opens, 1);
	cr_assert(lane_take(lane, &taken));
	cr_expect_eq(lane_look(lane), LANE_TAKEN);
	cr_expect_eq(memcmp(&taken, &request, sizeof taken), 0);
	lane_answer(lane, LANE_ANSWERED, &reply);
	cr_expect_eq(lane_look(lane), LANE_ANSWERED);
	cr_expect_eq(memcmp(&lane->reply, &reply, sizeof reply), 0);
	cr_expect_not(lane_take(lane, &taken), "only once");
	cr_expect_not(lane_give_up(lane));
	lane_done(lane);
	cr_expect_eq(lane_look(lane), LANE_FREE);
	cr_expect_not(lane_take(lane, &taken));
}

Test(lane, it_is_taken_once_more_by_whoever_comes_after_a_kill)
{
	struct wire_request request = open_request();
	struct lane *lane = new_lane();
	struct wire_request taken;

	cr_assert(lane_ask(lane, &request, false));
	cr_assert(lane_take(lane, &taken));
	memset(&taken, 0, sizeof taken);
	cr_assert(lane_take(lane, &taken));
	cr_expect_eq(memcmp(&taken, &request, sizeof taken), 0);
	cr_expect_not(lane_give_up(lane));
	cr_expect_eq(lane_look(lane), LANE_TAKEN);
}

Test(lane, what_is_given_up_is_not_there_and_nobody_is_said_to_look)
{
	struct wire_request request = open_request();
	struct lane *lane = new_lane();
	struct wire_request taken;

	cr_assert(lane_ask(lane, &request, false));
	cr_assert(lane_give_up(lane));
	cr_expect_not(lane_take(lane, &taken));
	cr_expect_not(lane_ask(lane, &request, false));
	lane_set_looks(lane, true);
	cr_expect(lane_ask(lane, &request, false));
}

/* As one that has been asleep does. */
Test(lane, who_sleeps_is_taken_and_gives_up_as_others)
{
	struct wire_request request = open_request();
	struct lane *lane = new_lane();
	struct wire_request taken;

	cr_assert(lane_ask(lane, &request, false));
	lane_sleep(lane, 1);
	cr_expect_eq(lane->state, LANE_ASKED | LANE_SLEEPER);
	cr_expect_eq(lane_look(lane), LANE_ASKED);
	cr_assert(lane_take(lane, &taken));
	cr_expect_eq(lane->state, LANE_TAKEN | LANE_SLEEPER, "he is to be woken still");
	lane_answer(lane, LANE_ANSWERED, NULL);
	lane_done(lane);
	cr_assert(lane_ask(lane, &request, false));
	lane_sleep(lane, 1);
	cr_expect(lane_give_up(lane));
	cr_expect_eq(lane->state, LANE_FREE);
}

Test(lane, what_has_ended_is_not_slept_for)
{
	const enum lane_state ended[] = {LANE_FREE, LANE_ANSWERED, LANE_SENT, LANE_REFUSED,
	                                 LANE_CUT};
	struct lane *lane = new_lane();

	for (size_t i = 0; i < sizeof ended / sizeof ended[0]; i++) {
		lane->state = ended[i];
		lane_sleep(lane, 900L * 1000 * 1000 * 1000);
		cr_expect_eq(lane->state, ended[i]);
	}
}

Test(lane, the_end_of_it_is_told)
{
	const enum lane_state ends[] = {LANE_REFUSED, LANE_CUT};
	struct wire_request request = open_request();

	for (int i = 0; i < 2; i++) {
		struct lane *lane = new_lane();
		struct wire_request taken;

		memset(&lane->reply, FILL, sizeof lane->reply);
		cr_assert(lane_ask(lane, &request, false));
		lane_answer(lane, ends[i], NULL);
		cr_expect_eq(lane_look(lane), ends[i]);
		cr_expect_not(lane_take(lane, &taken));
		cr_expect_not(lane_give_up(lane));
		cr_expect(is_filled(&lane->reply, sizeof lane->reply, FILL));
	}
}

Test(lane, what_is_not_used_is_not_copied)
{
	struct wire_request request = open_request();
	struct lane *lane = new_lane();
	struct wire_request taken;

	memset(&lane->request, FILL, sizeof lane->request);
	memset(&request.initial[3], 'x', sizeof request.initial - 3);
	memset(&request.name[7], 'x', sizeof request.name - 7);
	cr_assert(lane_ask(lane, &request, false));
	cr_expect(is_filled(&lane->request.initial[3], sizeof request.initial - 3, FILL));
	cr_expect(is_filled(&lane->request.name[7], sizeof request.name - 7, FILL));
	memset(&taken, FILL, sizeof taken);
	cr_assert(lane_take(lane, &taken));
	cr_expect_eq(memcmp(taken.initial, "abc", 3), 0);
	cr_expect_eq(memcmp(taken.name, "segment", 7), 0);
	cr_expect(is_filled(&taken.initial[3], sizeof taken.initial - 3, 0));
	cr_expect(is_filled(&taken.name[7], sizeof taken.name - 7, 0));
}

/* Whatever lengths are written there: nothing beyond the ends of either is touched. */
Test(lane, lengths_that_are_no_lengths)
{
	const uint16_t lengths[] = {WIRE_INITIAL_MAX, WIRE_INITIAL_MAX + 1, WIRE_NAME_SIZE,
	                            WIRE_NAME_SIZE + 1, 4096, HUGE_LENGTH};
	size_t count = sizeof lengths / sizeof lengths[0];
	struct wire_request *taken = guarded(sizeof *taken, true);
	struct lane *lane = new_lane();

	memset(&lane->request, FILL, sizeof lane->request);
	for (size_t i = 0; i < count * count; i++) {
		uint16_t initial = lengths[i / count];
		uint16_t name = lengths[i % count];

		lane->request.initial_length = initial;
		lane->request.name_length = name;
		lane->state = LANE_ASKED;
		cr_assert(lane_take(lane, taken));
		cr_expect_eq(taken->initial_length, initial);
		cr_expect_eq(taken->name_length, name);
		initial = initial > WIRE_INITIAL_MAX ? 0 : initial;
		name = name > WIRE_NAME_SIZE ? 0 : name;
		cr_expect(is_filled(taken->initial, initial, FILL));
		cr_expect(is_filled(taken->initial + initial, WIRE_INITIAL_MAX - initial, 0));
		cr_expect(is_filled(taken->name, name, FILL));
		cr_expect(is_filled(taken->name + name, WIRE_NAME_SIZE - name, 0));
	}
}

Test(lane, states_that_are_no_states)
{
	struct lane *lane = new_lane();
	struct wire_request taken;

	for (uint32_t bit = 0; bit < 32; bit++) {
		uint32_t state = (uint32_t)1 << bit;
		bool is_request = state == LANE_ASKED || state == LANE_TAKEN;

		lane->state = state;
		cr_expect_eq(lane_take(lane, &taken), is_request, "%x", state);
	}
}

Test(lane, given_up_or_served_never_both_never_neither)
{
	cr_expect(lane_race_give_up(300000));
}

Test(lane, the_last_look_finds_what_is_not_taken_back)
{
	cr_expect(lane_race_last_look(300000));
}

Test(lane, an_answer_wakes_who_sleeps)
{
	cr_expect(lane_race_sleep(20000));
}
