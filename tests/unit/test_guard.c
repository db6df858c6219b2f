/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors that outlive whatever a program closes. The wrappers of close and its kin are this
 * program's own here. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preload/boot.h"
#include "preload/guard.h"
#include "preload/lock.h"
#include "preload/mq.h"
#include "preload/points.h"
#include "preload/real.h"

atomic_size_t views_shared_count;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int releases;

uint64_t lock_take(void)
{
	pthread_mutex_lock(&lock);
	return 0;
}

void lock_leave(uint64_t before)
{
	pthread_mutex_unlock(&lock);
}

void points_release(void)
{
	releases++;
}

bool boot_is_borrowed(void)
{
	return false;
}

/* No number is a queue's. */
_Atomic uint64_t mq_marks[MQ_MARKS_MAX / MQ_MARKS_EACH];
atomic_int mq_notice_count;
atomic_bool mq_has_any;

void mq_part_begin(int fd, struct mq_parting *ret_parting)
{
}

void mq_part_end(struct mq_parting *parting, bool is_closed)
{
}

void mq_close_range(unsigned first, unsigned last)
{
}

int mq_close_number(int fd)
{
	return guard_close_theirs(fd);
}

static int new_file(const char *text)
{
	int fd = memfd_create("guard", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(pwrite(fd, text, strlen(text), 0), (ssize_t)strlen(text));
	return fd;
}

static bool has(int fd, const char *text)
{
	char found[32] = "";

	return pread(fd, found, sizeof found - 1, 0) == (ssize_t)strlen(text) &&
	       strcmp(found, text) == 0;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Result and errno at once. */
static int outcome(int result)
{
	return result < 0 ? -errno : result;
}

Test(guard, a_kept_descriptor_can_not_be_closed)
{
	int place = new_file("ours");
	int old = place;

	cr_assert_eq(guard_keep(&place), 0);
	cr_expect(place != old && !is_open(old), "it is out of the way");
	cr_expect_gt(place, 100);
	cr_expect_eq(fcntl(place, F_GETFD), FD_CLOEXEC);
	cr_expect(guard_owns(place));
	cr_expect_eq(outcome(close(place)), -EBADF);
	cr_expect(has(place, "ours"));
	old = place;
	guard_close(&place);
	cr_expect_eq(place, -1);
	cr_expect(!is_open(old) && !guard_owns(old));
	guard_close(&place);
}

static void close_ranges(int first, int last)
{
	cr_expect_eq(close_range((unsigned)first, (unsigned)last, 0), 0);
}

static void close_from(int first, int last)
{
	(void)last;
	closefrom(first);
}

static void close_one_by_one(int first, int last)
{
	if (last > 2000)
		last = 2000;
	for (int fd = first; fd <= last; fd++)
		close(fd);
}

static void check_closing(void (*close_all)(int first, int last), int last)
{
	int places[3], low, between, high;

	for (int i = 0; i < 3; i++) {
		places[i] = new_file("ours");
		cr_assert_eq(guard_keep(&places[i]), 0);
	}
	low = new_file("theirs");
	between = new_file("theirs");
	guard_close(&places[1]);
	high = fcntl(low, F_DUPFD, places[2] + 1);
	close_all(low, last);
	cr_expect(!is_open(low) && !is_open(between));
	cr_expect_eq(is_open(high), high > last);
	cr_expect(has(places[0], "ours") && has(places[2], "ours"));
	guard_close(&places[0]);
	guard_close(&places[2]);
	cr_expect(!guard_owns(places[0]) && !guard_owns(places[2]));
}

Test(guard, what_closes_everything_goes_around)
{
	check_closing(close_ranges, INT_MAX);
	check_closing(close_ranges, 1023);
	check_closing(close_from, INT_MAX);
	check_closing(close_one_by_one, INT_MAX);
	cr_expect_eq(close_range(10, 9, 0), -1);
	cr_expect_eq(close_range(700, 701, 0), 0, "of none");
}

Test(guard, close_on_exec_is_no_closing)
{
	int place = new_file("ours");

	cr_assert_eq(guard_keep(&place), 0);
	cr_expect_eq(close_range(700, ~0U, CLOSE_RANGE_CLOEXEC), 0);
	cr_expect(has(place, "ours"));
	guard_close(&place);
}

Test(guard, a_number_that_the_program_wants_is_the_programs)
{
	int place = new_file("ours");
	int theirs = new_file("theirs");
	int number;

	cr_assert_eq(guard_keep(&place), 0);
	number = place;
	cr_expect_eq(outcome(dup2(place, 40)), -EBADF, "it is not open");
	cr_expect_eq(outcome(dup2(place, place)), -EBADF);
	cr_expect_eq(outcome(dup2(700, number)), -EBADF);
	cr_expect_eq(outcome(dup3(theirs, number, 0x40000000)), -EINVAL);
	cr_expect_eq(place, number);
	errno = 4242;
	cr_expect_eq(dup2(theirs, number), number);
	cr_expect_eq(errno, 4242);
	cr_expect(place != number && guard_owns(place) && !guard_owns(number));
	cr_expect(has(place, "ours") && has(number, "theirs"));
	cr_expect_eq(fcntl(place, F_GETFD), FD_CLOEXEC);
	cr_expect_eq(fcntl(number, F_GETFD), 0);
	cr_expect_eq(close(number), 0);
	number = place;
	cr_expect_eq(dup3(theirs, number, O_CLOEXEC), number);
	cr_expect(has(place, "ours") && has(number, "theirs"));
	cr_expect_eq(fcntl(number, F_GETFD), FD_CLOEXEC);
	close(number);
	close(theirs);
	guard_close(&place);
}

Test(guard, without_room_it_stays_where_it_is)
{
	struct rlimit few = {20, 20};
	int place = new_file("ours");
	int fillers[20], count = 0, number;

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (count < 20 && (fillers[count] = dup(place)) >= 0)
		count++;
	cr_assert_eq(guard_keep(&place), 0);
	cr_expect(guard_owns(place) && has(place, "ours"));
	cr_expect_eq(outcome(close(place)), -EBADF);
	cr_expect_eq(outcome(dup2(fillers[0], place)), -EMFILE, "and can't move");
	cr_expect(has(place, "ours"));
	close(fillers[0]);
	number = place;
	cr_expect_eq(dup2(fillers[1], number), number);
	cr_expect(place == fillers[0] && guard_owns(place), "but to where there is room");
	guard_close(&place);
}

Test(guard, children_have_it_too)
{
	int place = new_file("ours");
	int status = -1;
	pid_t child;

	cr_assert_eq(guard_keep(&place), 0);
	child = fork();
	cr_assert_geq(child, 0);
	if (child == 0) {
		closefrom(3);
		_exit(has(place, "ours") && guard_owns(place) ? 0 : 1);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect_eq(status, 0);
	guard_close(&place);
}

Test(guard, closing_tells)
{
	int fd = new_file("theirs");

	views_shared_count = 1;
	releases = 0;
	close(-1);
	close(700);
	cr_expect_eq(releases, 0, "nothing is closed");
	close(fd);
	cr_expect_eq(releases, 1);
	views_shared_count = 0;
}

static atomic_bool enough;

/* Uses it under the lock, where it can't be moved. */
static void *use(void *argument)
{
	int *place = argument;
	long wrong = 0;

	while (!enough) {
		uint64_t before = lock_take();

		wrong += !has(*place, "ours");
		lock_leave(before);
	}
	return (void *)wrong;
}

Test(guard, it_moves_while_nobody_uses_it)
{
	enum { ROUNDS = 3000 };
	int place = new_file("ours");
	int theirs = new_file("theirs");
	long wrong = 0;
	void *used = NULL;
	pthread_t thread;

	cr_assert_eq(guard_keep(&place), 0);
	cr_assert_eq(pthread_create(&thread, NULL, use, &place), 0);
	for (int i = 0; i < ROUNDS; i++) {
		int number = place;

		wrong += dup2(theirs, number) != number || !has(number, "theirs");
		wrong += close(number) != 0;
	}
	enough = true;
	cr_assert_eq(pthread_join(thread, &used), 0);
	cr_expect_eq(wrong, 0);
	cr_expect_eq((long)used, 0);
	guard_close(&place);
	close(theirs);
}
