/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Read-write locks, barriers and spin locks that processes share. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/probes/locks.h"
#include "tests/probes/probe.h"

enum { ROUNDS = 200, MEETINGS = 50 };

struct shared {
	pthread_rwlock_t lock;
	pthread_barrier_t barrier;
	pthread_spinlock_t spin;
	long count, other;
	int serial;
};

static void make_lock(struct shared *s)
{
	pthread_rwlockattr_t attributes;

	pthread_rwlockattr_init(&attributes);
	pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	must(pthread_rwlock_init(&s->lock, &attributes) == 0);
	pthread_rwlockattr_destroy(&attributes);
}

static void try_all(struct shared *s, const char *who)
{
	struct timespec real = locks_in(CLOCK_REALTIME, LOCKS_FEW_MS);
	struct timespec other = locks_in(CLOCK_MONOTONIC, LOCKS_FEW_MS);
	int results[6];

	results[0] = pthread_rwlock_tryrdlock(&s->lock);
	if (results[0] == 0)
		pthread_rwlock_unlock(&s->lock);
	results[1] = pthread_rwlock_timedrdlock(&s->lock, &real);
	if (results[1] == 0)
		pthread_rwlock_unlock(&s->lock);
	results[2] = pthread_rwlock_clockrdlock(&s->lock, CLOCK_MONOTONIC, &other);
	if (results[2] == 0)
		pthread_rwlock_unlock(&s->lock);
	results[3] = pthread_rwlock_trywrlock(&s->lock);
	if (results[3] == 0)
		pthread_rwlock_unlock(&s->lock);
	results[4] = pthread_rwlock_timedwrlock(&s->lock, &real);
	if (results[4] == 0)
		pthread_rwlock_unlock(&s->lock);
	results[5] = pthread_rwlock_clockwrlock(&s->lock, CLOCK_MONOTONIC, &other);
	if (results[5] == 0)
		pthread_rwlock_unlock(&s->lock);
	for (int i = 0; i < 6; i++)
		say("%s: %s %s", who, i < 3 ? "read" : "write", locks_name(results[i]));
}

static int try_elsewhere(void *argument)
{
	try_all(argument, "another");
	return 0;
}

static void *try_in_thread(void *argument)
{
	try_all(argument, "a thread");
	return NULL;
}

static void try_others(struct shared *s)
{
	pthread_t thread;

	say("another: %d", await_child(locks_beside(try_elsewhere, s)));
	must(pthread_create(&thread, NULL, try_in_thread, s) == 0);
	must(pthread_join(thread, NULL) == 0);
}

static void ask_lock(struct shared *s)
{
	struct timespec when = locks_in(CLOCK_REALTIME, LOCKS_FEW_MS);

	make_lock(s);
	try_all(s, "free");
	say("read %s", locks_name(pthread_rwlock_rdlock(&s->lock)));
	try_all(s, "a reader");
	try_others(s);
	say("read again %s", locks_name(pthread_rwlock_rdlock(&s->lock)));
	say("unlock %s", locks_name(pthread_rwlock_unlock(&s->lock)));
	say("another: %d", await_child(locks_beside(try_elsewhere, s)));
	say("unlock %s", locks_name(pthread_rwlock_unlock(&s->lock)));
	try_others(s);
	say("write %s", locks_name(pthread_rwlock_wrlock(&s->lock)));
	say("read %s", locks_name(pthread_rwlock_rdlock(&s->lock)));
	say("write %s", locks_name(pthread_rwlock_wrlock(&s->lock)));
	try_all(s, "a writer");
	try_others(s);
	say("unlock %s", locks_name(pthread_rwlock_unlock(&s->lock)));
	for (int i = 0; i < LOCKS_BAD_DEADLINES; i++) {
		int error = pthread_rwlock_timedrdlock(&s->lock, &locks_bad[i].at);

		say("%s: %s", locks_bad[i].label, locks_name(error));
		if (error == 0)
			pthread_rwlock_unlock(&s->lock);
	}
	say("no clock to wait by: %s", locks_name(pthread_rwlock_clockwrlock(
	                                       &s->lock, CLOCK_PROCESS_CPUTIME_ID, &when)));
	say("destroy %s", locks_name(pthread_rwlock_destroy(&s->lock)));
}

/* Every fourth time it writes. */
static int read_and_write(void *argument)
{
	struct shared *s = argument;

	for (int i = 0; i < ROUNDS; i++) {
		bool writes = i % 4 == 0;
		int error = writes ? pthread_rwlock_wrlock(&s->lock) :
		                     pthread_rwlock_rdlock(&s->lock);

		if (error || s->count != s->other)
			return 1;
		if (writes) {
			s->count++;
			s->other++;
		}
		if (pthread_rwlock_unlock(&s->lock) != 0)
			return 1;
	}
	return 0;
}

static void ask_counting(struct shared *s)
{
	make_lock(s);
	s->count = s->other = 0;
	say("processes: %d", locks_in_processes(read_and_write, s));
	pthread_rwlock_rdlock(&s->lock);
	say("counted %ld %ld", s->count, s->other);
	pthread_rwlock_unlock(&s->lock);
	say("threads: %d", locks_in_threads(read_and_write, s));
	say("counted %ld %ld", s->count, s->other);
}

/* Between two meetings each adds one to the count, and all see that. */
static int meet(void *argument)
{
	struct shared *s = argument;

	for (int i = 0; i < MEETINGS; i++) {
		int result = pthread_barrier_wait(&s->barrier);

		if (result == PTHREAD_BARRIER_SERIAL_THREAD) {
			if (s->count != i)
				return 1;
			s->count++;
			s->serial++;
		} else if (result != 0) {
			return 1;
		}
		pthread_barrier_wait(&s->barrier);
		if (s->count != i + 1)
			return 1;
	}
	return 0;
}

static void ask_barrier(struct shared *s)
{
	pthread_barrierattr_t attributes;

	pthread_barrierattr_init(&attributes);
	pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	say("of none: %s", locks_name(pthread_barrier_init(&s->barrier, &attributes, 0)));
	for (int i = 0; i < 2; i++) {
		say("of all: %s", locks_name(pthread_barrier_init(&s->barrier, &attributes,
		                                                  LOCKS_SIDES)));
		s->count = 0;
		s->serial = 0;
		say("met: %d", i ? locks_in_threads(meet, s) : locks_in_processes(meet, s));
		say("counted %ld, serial %d", s->count, s->serial);
		say("destroy %s", locks_name(pthread_barrier_destroy(&s->barrier)));
	}
	say("of one: %s", locks_name(pthread_barrier_init(&s->barrier, &attributes, 1)));
	say("alone: %d",
	    pthread_barrier_wait(&s->barrier) == PTHREAD_BARRIER_SERIAL_THREAD);
}

static int count_up(void *argument)
{
	struct shared *s = argument;

	for (int i = 0; i < ROUNDS; i++) {
		pthread_spin_lock(&s->spin);
		s->count++;
		pthread_spin_unlock(&s->spin);
	}
	return 0;
}

static int try_spin(void *argument)
{
	struct shared *s = argument;

	return pthread_spin_trylock(&s->spin);
}

static void ask_spin(struct shared *s)
{
	say("init %s", locks_name(pthread_spin_init(&s->spin, PTHREAD_PROCESS_SHARED)));
	s->count = 0;
	say("processes: %d", locks_in_processes(count_up, s));
	say("try %s", locks_name(pthread_spin_trylock(&s->spin)));
	say("again %s", locks_name(pthread_spin_trylock(&s->spin)));
	say("another %s", locks_name(await_child(locks_beside(try_spin, s))));
	say("counted %ld", s->count);
	say("unlock %s", locks_name(pthread_spin_unlock(&s->spin)));
	say("threads: %d, %ld", locks_in_threads(count_up, s), s->count);
	say("destroy %s", locks_name(pthread_spin_destroy(&s->spin)));
}

static void ask(void *memory)
{
	ask_lock(memory);
	ask_counting(memory);
	ask_barrier(memory);
	ask_spin(memory);
}

static void body(void)
{
	locks_on_each_ground(sizeof(struct shared), ask);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
