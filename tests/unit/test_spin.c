/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>

#include "base/look.h"
#include "base/spin.h"

enum { LONGEST = 8000 };

/* How many of so many waits look, when all of them fail. */
static int count_tries(struct spin *spin, int waits)
{
	int tries = 0;

	for (int i = 0; i < waits; i++) {
		if (!spin_begin(spin))
			continue;
		tries++;
		spin_failed(spin);
	}
	return tries;
}

Test(spin, begins_with_all_that_it_may)
{
	struct spin spin = SPIN_INIT(LONGEST);

	cr_expect_eq(spin_begin(&spin), LONGEST);
}

Test(spin, what_fails_is_given_up)
{
	struct spin spin = SPIN_INIT(LONGEST);

	for (uint32_t budget = LONGEST; budget >= LONGEST / 8; budget /= 2) {
		cr_expect_eq(spin_begin(&spin), budget);
		spin_failed(&spin);
	}
	cr_expect_eq(spin_begin(&spin), 0);
}

Test(spin, and_tried_again_ever_more_rarely)
{
	struct spin spin = SPIN_INIT(LONGEST);
	int before = count_tries(&spin, 100);

	for (int i = 0; i < 8; i++) {
		int now = count_tries(&spin, 1000);

		cr_expect_leq(now, before + 5);
		before = now;
	}
	cr_expect_leq(before, 1);
	/* But not never. */
	cr_expect_gt(count_tries(&spin, 10000), 5);
	cr_expect_lt(count_tries(&spin, 10000), 20);
}

Test(spin, one_that_pays_brings_it_back)
{
	struct spin spin = SPIN_INIT(LONGEST);

	count_tries(&spin, 100000);
	while (!spin_begin(&spin))
		;
	spin_paid(&spin, LONGEST / 4);
	cr_expect_eq(spin_begin(&spin), LONGEST / 2);
	spin_paid(&spin, LONGEST / 4);
	cr_expect_eq(spin_begin(&spin), LONGEST);
}

/* Requests come by twos: one at once, one after a while. */
Test(spin, what_comes_at_once_makes_nothing_shorter)
{
	struct spin spin = SPIN_INIT(LONGEST);

	for (int i = 0; i < 1000; i++) {
		cr_expect_eq(spin_begin(&spin), LONGEST);
		spin_paid(&spin, i % 2 ? 0 : LONGEST - 1);
	}
}

Test(spin, a_failure_now_and_then_does_not_end_it)
{
	struct spin spin = SPIN_INIT(LONGEST);

	for (int i = 0; i < 1000; i++) {
		cr_expect_geq(spin_begin(&spin), LONGEST / 2);
		if (i % 3 == 0)
			spin_failed(&spin);
		else
			spin_paid(&spin, 10);
	}
}

/* How long a wait without an answer goes on looking, in nanoseconds. */
static uint64_t look_in_vain(bool may_wait)
{
	struct look look = look_begin(may_wait);

	while (look_again(&look))
		;
	look_end(&look);
	return look_now() - look.since;
}

Test(look, is_bounded)
{
	int looked = 0;

	for (int i = 0; i < 2000; i++) {
		struct look look = look_begin(false);

		looked += look.spinning > 0;
		while (look_again(&look))
			;
		look_end(&look);
	}
	/* In vain, and so given up. */
	cr_expect_lt(looked, 20);
	cr_expect_lt(look_in_vain(true), 1000 * 1000 * 1000);
}

/* Whoever sees us in the wait for the answer takes it for the call's. */
Test(look, yields_longer_when_the_call_would_not_wait)
{
	struct look look;
	int looks[2] = {0};

	for (int may_wait = 0; may_wait < 2; may_wait++) {
		look = look_begin(may_wait);
		while (look_again(&look))
			looks[may_wait] += look.yielded > 0;
	}
	cr_expect_gt(looks[0], 0);
	cr_expect_eq(looks[1], 0);
}
