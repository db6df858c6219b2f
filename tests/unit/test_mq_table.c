/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is known of queues' descriptors. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>

#include "preload/mq_table.h"

enum { MANY = 1000, THREADS = 4, ROUNDS = 20000 };

static struct mq_key key_of(uint64_t inode, unsigned access)
{
	return (struct mq_key){.device = 7, .inode = inode, .access = access};
}

/* Each part tells the others. */
static struct mq_known known_of(uint64_t number)
{
	return (struct mq_known){{number, number * 3}, number * 5};
}

static bool is_whole(const struct mq_known *known)
{
	return known->handle.secret == known->handle.number * 3 &&
	       known->size == known->handle.number * 5;
}

Test(mq_table, each_access_is_known_for_itself)
{
	struct mq_key reading = key_of(1, O_RDONLY), writing = key_of(1, O_WRONLY);
	struct mq_key elsewhere = {.device = 8, .inode = 1};
	struct mq_known one = known_of(1), other = known_of(2), found;

	cr_expect_not(mq_table_find(&reading, &found));
	mq_table_add(&reading, &one);
	cr_expect_not(mq_table_find(&writing, &found));
	cr_expect_not(mq_table_find(&elsewhere, &found));
	mq_table_add(&writing, &other);
	cr_assert(mq_table_find(&reading, &found));
	cr_expect_eq(found.handle.number, 1);
	cr_assert(mq_table_find(&writing, &found));
	cr_expect_eq(found.handle.number, 2);
}

Test(mq_table, what_is_new_takes_the_place_of_what_was_at_its_key)
{
	struct mq_key key = key_of(2, O_RDWR);
	struct mq_known one = known_of(1), other = known_of(2), found;

	mq_table_add(&key, &one);
	mq_table_add(&key, &other);
	cr_assert(mq_table_find(&key, &found));
	cr_expect_eq(found.handle.number, 2);
	mq_table_forget(&key);
	cr_expect_not(mq_table_find(&key, &found));
}

Test(mq_table, the_last_of_too_many_are_known)
{
	struct mq_known found;

	for (uint64_t inode = 1; inode <= MANY; inode++) {
		struct mq_key key = key_of(inode, O_RDWR);
		struct mq_known known = known_of(inode);

		mq_table_add(&key, &known);
		cr_assert(mq_table_find(&key, &found));
		cr_assert_eq(found.handle.number, inode);
	}
}

static atomic_int torn;

static void *change(void *argument)
{
	uint64_t own = (uint64_t)(uintptr_t)argument;

	for (uint64_t round = 1; round < ROUNDS; round++) {
		struct mq_key key = key_of(round % 3, O_RDWR);
		struct mq_known known = known_of(own * ROUNDS + round), found;

		mq_table_add(&key, &known);
		if (mq_table_find(&key, &found) && !is_whole(&found))
			torn++;
		if (round % 5 == 0)
			mq_table_forget(&key);
	}
	return NULL;
}

Test(mq_table, nobody_finds_halves)
{
	pthread_t threads[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, change, (void *)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(torn, 0);
}

Test(mq_table, marks)
{
	cr_expect_not(mq_is_marked(-1));
	cr_expect_not(mq_is_marked(MQ_MARKS_MAX));
	mq_mark(-1, true);
	mq_mark(MQ_MARKS_MAX, true);
	mq_mark(MQ_MARKS_MAX - 1, true);
	mq_mark(63, true);
	mq_mark(64, true);
	cr_expect(mq_is_marked(MQ_MARKS_MAX - 1));
	cr_expect(mq_is_marked(63) && mq_is_marked(64));
	cr_expect_not(mq_is_marked(62));
	mq_mark(63, false);
	cr_expect(!mq_is_marked(63) && mq_is_marked(64));
}
