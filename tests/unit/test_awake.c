/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/look.h"
#include "fuse/awake.h"
#include "fuse/loop.h"

enum { MICROSECOND = 1000, MILLISECOND = 1000 * 1000, ENOUGH = 100, AGES = 10000 };

/* What tells, and one before. */
enum { SAMPLE = 13 };

struct world {
	struct loop *loop;
	struct awake *awake;
	int said; /* the other end of the device */
	uint64_t now;
};

static void begin(struct world *world)
{
	int ends[2];

	cr_assert_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	*world = (struct world){.said = ends[0], .now = look_now()};
	cr_assert_eq(loop_new(&world->loop), 0);
	cr_assert_eq(awake_new(&world->awake, world->loop, ends[1]), 0);
}

static void end(struct world *world)
{
	awake_free(world->awake);
	loop_free(world->loop);
	close(world->said);
}

/* So many requests, each of one microsecond, with gaps between. */
static void serve(struct world *world, int count, uint64_t gap)
{
	while (count--) {
		uint64_t began = world->now + gap;

		world->now = began + MICROSECOND;
		awake_served(world->awake, began, world->now);
	}
}

/* How often something was written, and what at last. */
static int listen_to(struct world *world, int32_t *ret_last)
{
	int count = 0;

	while (read(world->said, ret_last, sizeof *ret_last) == sizeof *ret_last)
		count++;
	return count;
}

static bool held(struct world *world)
{
	int32_t last = -1;

	cr_expect_eq(listen_to(world, &last), 1);
	return last == 0;
}

static void expect_silence(struct world *world)
{
	int32_t last;

	cr_expect_eq(listen_to(world, &last), 0);
}

static int stop(struct loop_source *source, uint32_t events)
{
	struct loop **loop = (struct loop **)(source + 1);

	(void)events;
	loop_stop(*loop);
	return 0;
}

static void run_for(struct world *world, long milliseconds)
{
	struct itimerspec soon = {.it_value = {0, milliseconds * MILLISECOND}};
	struct {
		struct loop_source source;
		struct loop *loop;
	} timer = {{timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), stop}, world->loop};

	timerfd_settime(timer.source.fd, 0, &soon, NULL);
	cr_assert_eq(loop_add(world->loop, &timer.source, EPOLLIN), 0);
	cr_assert_eq(loop_run(world->loop), 0);
	loop_remove(world->loop, &timer.source);
	close(timer.source.fd);
}

/* With gaps of 20 microseconds, which are worth it. */
static void begin_held(struct world *world)
{
	begin(world);
	serve(world, SAMPLE, 20 * MICROSECOND);
	cr_expect(held(world));
}

Test(awake, is_not_wanted_where_nobody_waits_for_a_core)
{
	struct world world;

	begin(&world);
	serve(&world, AGES, 5 * MICROSECOND);
	expect_silence(&world);
	end(&world);
}

Test(awake, nor_for_requests_now_and_then)
{
	struct world world;

	begin(&world);
	serve(&world, AGES, 2 * MILLISECOND);
	expect_silence(&world);
	end(&world);
}

Test(awake, cores_are_kept_awake_while_that_pays)
{
	struct world world;

	begin_held(&world);
	serve(&world, ENOUGH, 5 * MICROSECOND);
	expect_silence(&world);
	end(&world);
}

Test(awake, what_does_not_pay_is_given_up)
{
	struct world world;

	begin_held(&world);
	serve(&world, ENOUGH, 19 * MICROSECOND);
	cr_expect_not(held(&world));
	end(&world);
}

Test(awake, and_tried_again_ever_more_rarely)
{
	struct world world;
	int32_t last;
	int before = AGES;

	begin(&world);
	for (int i = 0; i < 4; i++) {
		int now;

		/* Two seconds. */
		serve(&world, 100 * 1000, 19 * MICROSECOND);
		now = listen_to(&world, &last);
		cr_expect_lt(now, before);
		cr_expect_leq(now, 10);
		before = now > 2 ? now : 3;
	}
	end(&world);
}

Test(awake, whether_it_pays_is_asked_again)
{
	struct world world;
	int32_t last = 0;

	begin_held(&world);
	serve(&world, AGES, 5 * MICROSECOND);
	/* And then it is as it was without. */
	cr_expect_not(held(&world));
	serve(&world, 2 * SAMPLE, 20 * MICROSECOND);
	cr_expect(held(&world));
	serve(&world, ENOUGH, 20 * MICROSECOND);
	cr_expect_eq(listen_to(&world, &last), 1);
	cr_expect_neq(last, 0);
	end(&world);
}

Test(awake, ends_when_nobody_asks_any_more)
{
	struct world world;

	begin_held(&world);
	run_for(&world, 50);
	cr_expect_not(held(&world));
	/* And that is all. */
	run_for(&world, 20);
	expect_silence(&world);
	end(&world);
}

Test(awake, a_device_that_refuses_is_left_alone)
{
	static const char filling[1 << 20];
	struct world world;
	int32_t last;
	int ends[2];

	begin(&world);
	awake_free(world.awake);
	close(world.said);
	cr_assert_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	world.said = ends[0];
	cr_assert_gt(write(ends[1], filling, sizeof filling), 0);
	cr_assert_eq(awake_new(&world.awake, world.loop, ends[1]), 0);
	serve(&world, SAMPLE, 20 * MICROSECOND);
	cr_expect_gt(listen_to(&world, &last), 0);
	/* The end of that one, and no other. */
	serve(&world, AGES, 19 * MICROSECOND);
	cr_expect_eq(listen_to(&world, &last), 1);
	cr_expect_neq(last, 0);
	end(&world);
}

Test(awake, can_be_declined)
{
	cr_expect_lt(awake_open(AWAKE_NEVER), 0);
}
