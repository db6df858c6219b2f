/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Conditions that processes share. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/probes/locks.h"
#include "tests/probes/probe.h"

enum { ITEMS = 300, WAITERS = 3, ROOM = 4, WHILE_MS = 100 };

struct shared {
	pthread_mutex_t mutex;
	pthread_cond_t filled, emptied;
	clockid_t clock;
	int waiting, woken;
	int first, last; /* of what is in the ring */
	int ring[ROOM];
	long sum;
	bool over;
};

static void make_condition(pthread_cond_t *condition, clockid_t clock)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_condattr_setclock(&attributes, clock);
	must(pthread_cond_init(condition, &attributes) == 0);
	pthread_condattr_destroy(&attributes);
}

static void make(struct shared *s, int type, bool robust)
{
	memset(s, 0, sizeof *s);
	locks_mutex(&s->mutex, type, robust);
	make_condition(&s->filled, CLOCK_REALTIME);
	make_condition(&s->emptied, CLOCK_MONOTONIC);
}

static void ask_deadlines(struct shared *s)
{
	struct timespec when = locks_in(CLOCK_REALTIME, LOCKS_FEW_MS);

	make(s, PTHREAD_MUTEX_ERRORCHECK, false);
	say("not the owner: %s", locks_name(pthread_cond_wait(&s->filled, &s->mutex)));
	pthread_mutex_lock(&s->mutex);
	say("soon: %s", locks_name(pthread_cond_timedwait(&s->filled, &s->mutex, &when)));
	say("passed: %s", locks_name(pthread_cond_timedwait(&s->filled, &s->mutex, &when)));
	when = locks_in(CLOCK_MONOTONIC, LOCKS_FEW_MS);
	say("by its clock: %s", locks_name(pthread_cond_timedwait(&s->emptied, &s->mutex, &when)));
	when = locks_in(CLOCK_MONOTONIC, LOCKS_FEW_MS);
	say("by another clock: %s", locks_name(pthread_cond_clockwait(&s->filled, &s->mutex,
	                                                              CLOCK_MONOTONIC, &when)));
	say("by none: %s", locks_name(pthread_cond_clockwait(&s->filled, &s->mutex,
	                                                     CLOCK_PROCESS_CPUTIME_ID, &when)));
	for (int i = 0; i < LOCKS_BAD_DEADLINES; i++)
		say("%s: %s", locks_bad[i].label,
		    locks_name(pthread_cond_timedwait(&s->filled, &s->mutex, &locks_bad[i].at)));
	say("has the mutex: %s", locks_name(pthread_mutex_lock(&s->mutex)));
	say("signal for nobody: %s", locks_name(pthread_cond_signal(&s->filled)));
	when = locks_in(CLOCK_REALTIME, LOCKS_FEW_MS);
	say("which is lost: %s", locks_name(pthread_cond_timedwait(&s->filled, &s->mutex, &when)));
	say("broadcast for nobody: %s", locks_name(pthread_cond_broadcast(&s->filled)));
	say("unlock %s", locks_name(pthread_mutex_unlock(&s->mutex)));
	say("destroy %s", locks_name(pthread_cond_destroy(&s->filled)));
}

static int wait_once(void *argument)
{
	struct shared *s = argument;
	int error;

	pthread_mutex_lock(&s->mutex);
	s->waiting++;
	error = pthread_cond_wait(&s->filled, &s->mutex);
	s->woken++;
	pthread_mutex_unlock(&s->mutex);
	return error;
}

static int woken_of(struct shared *s)
{
	int woken;

	locks_pause(WHILE_MS);
	pthread_mutex_lock(&s->mutex);
	woken = s->woken;
	pthread_mutex_unlock(&s->mutex);
	return woken;
}

static void await_waiters(struct shared *s, int count)
{
	bool there = false;

	while (!there) {
		locks_pause(1);
		pthread_mutex_lock(&s->mutex);
		there = s->waiting == count;
		pthread_mutex_unlock(&s->mutex);
	}
}

static void ask_who_wakes(struct shared *s)
{
	int good = 0, status;

	make(s, PTHREAD_MUTEX_NORMAL, false);
	for (int i = 0; i < WAITERS; i++)
		locks_beside(wait_once, s);
	await_waiters(s, WAITERS);
	say("woken before: %d", woken_of(s));
	say("signal %s", locks_name(pthread_cond_signal(&s->filled)));
	say("woken: %d", woken_of(s));
	say("broadcast %s", locks_name(pthread_cond_broadcast(&s->filled)));
	while (wait(&status) > 0)
		good += status == 0;
	say("woken: %d, good %d", woken_of(s), good);
	for (int i = 0; i < WAITERS; i++)
		locks_beside(wait_once, s);
	await_waiters(s, 2 * WAITERS);
	for (int i = 0; i < WAITERS; i++)
		pthread_cond_signal(&s->filled);
	while (wait(&status) > 0)
		good += status == 0;
	say("woken by as many signals: %d, good %d", woken_of(s), good);
}

static int take_items(void *argument)
{
	struct shared *s = argument;

	pthread_mutex_lock(&s->mutex);
	for (;;) {
		while (s->first == s->last && !s->over)
			pthread_cond_wait(&s->filled, &s->mutex);
		if (s->first == s->last)
			break;
		s->sum += s->ring[s->first++ % ROOM];
		pthread_cond_signal(&s->emptied);
	}
	return pthread_mutex_unlock(&s->mutex);
}

static void put_items(struct shared *s)
{
	for (int i = 1; i <= ITEMS; i++) {
		pthread_mutex_lock(&s->mutex);
		while (s->last - s->first == ROOM)
			pthread_cond_wait(&s->emptied, &s->mutex);
		s->ring[s->last++ % ROOM] = i;
		pthread_mutex_unlock(&s->mutex);
		pthread_cond_signal(&s->filled);
	}
	pthread_mutex_lock(&s->mutex);
	s->over = true;
	pthread_cond_broadcast(&s->filled);
	pthread_mutex_unlock(&s->mutex);
}

static void *put_in_thread(void *argument)
{
	put_items(argument);
	return NULL;
}

static void ask_passing(struct shared *s)
{
	pthread_t thread;
	int good;

	make(s, PTHREAD_MUTEX_NORMAL, false);
	must(pthread_create(&thread, NULL, put_in_thread, s) == 0);
	good = locks_in_threads(take_items, s);
	pthread_join(thread, NULL);
	say("between threads: %ld, good %d", s->sum, good);
	make(s, PTHREAD_MUTEX_RECURSIVE, true);
	must(pthread_create(&thread, NULL, put_in_thread, s) == 0);
	good = locks_in_processes(take_items, s);
	pthread_join(thread, NULL);
	pthread_mutex_lock(&s->mutex);
	say("between processes: %ld, good %d", s->sum, good);
	pthread_mutex_unlock(&s->mutex);
}

static void tell_owner(void *argument)
{
	struct shared *s = argument;

	say("in its handler: %s", locks_name(pthread_mutex_trylock(&s->mutex)));
	pthread_mutex_unlock(&s->mutex);
}

static void *wait_in_thread(void *argument)
{
	struct shared *s = argument;

	pthread_mutex_lock(&s->mutex);
	s->waiting++;
	pthread_cleanup_push(tell_owner, s);
	pthread_cond_wait(&s->filled, &s->mutex);
	pthread_cleanup_pop(1);
	return NULL;
}

static void ask_cancellation(struct shared *s)
{
	struct timespec when;
	pthread_t thread;
	void *result;

	make(s, PTHREAD_MUTEX_ERRORCHECK, false);
	must(pthread_create(&thread, NULL, wait_in_thread, s) == 0);
	await_waiters(s, 1);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	say("cancelled: %d", result == PTHREAD_CANCELED);
	when = locks_in(CLOCK_REALTIME, LOCKS_LONG_MS);
	say("and free: %s", locks_name(pthread_mutex_timedlock(&s->mutex, &when)));
	pthread_mutex_unlock(&s->mutex);
}

static int die_as_owner(void *argument)
{
	struct shared *s = argument;

	pthread_mutex_lock(&s->mutex);
	pthread_cond_signal(&s->filled);
	return raise(SIGKILL);
}

static void ring(int number)
{
	(void)number;
}

static void ask_deaths(struct shared *s)
{
	struct sigaction bell = {.sa_handler = ring};
	struct timespec when;
	pid_t child;

	make(s, PTHREAD_MUTEX_NORMAL, true);
	pthread_mutex_lock(&s->mutex);
	child = locks_beside(die_as_owner, s);
	say("its owner died: %s", locks_name(pthread_cond_wait(&s->filled, &s->mutex)));
	say("consistent %s", locks_name(pthread_mutex_consistent(&s->mutex)));
	say("child %d", await_child(child));
	sigaction(SIGALRM, &bell, NULL);
	ualarm(LOCKS_FEW_MS * 1000, 0);
	when = locks_in(CLOCK_REALTIME, WHILE_MS);
	say("not interrupted: %s", locks_name(pthread_cond_timedwait(&s->filled, &s->mutex,
	                                                             &when)));
	say("unlock %s", locks_name(pthread_mutex_unlock(&s->mutex)));
}

struct mixed {
	struct shared *s;
	pthread_cond_t condition; /* this process's alone */
};

static void *signal_mixed(void *argument)
{
	struct mixed *mixed = argument;

	for (int i = 1; i <= ITEMS / 10; i++) {
		pthread_mutex_lock(&mixed->s->mutex);
		mixed->s->sum++;
		pthread_cond_signal(&mixed->condition);
		while (mixed->s->sum == i)
			pthread_cond_wait(&mixed->condition, &mixed->s->mutex);
		mixed->s->sum = i;
		pthread_cond_signal(&mixed->condition);
		pthread_mutex_unlock(&mixed->s->mutex);
	}
	return NULL;
}

/* The mutex is shared, the condition not. */
static void ask_mixed(struct shared *s)
{
	struct mixed mixed = {.s = s, .condition = PTHREAD_COND_INITIALIZER};
	struct timespec when = locks_in(CLOCK_REALTIME, LOCKS_FEW_MS);
	pthread_t thread;
	int rounds = 0;

	make(s, PTHREAD_MUTEX_NORMAL, false);
	pthread_mutex_lock(&s->mutex);
	while (pthread_cond_timedwait(&mixed.condition, &s->mutex, &when) == 0)
		;
	must(pthread_create(&thread, NULL, signal_mixed, &mixed) == 0);
	for (int i = 1; i <= ITEMS / 10; i++) {
		while (s->sum != i)
			pthread_cond_wait(&mixed.condition, &s->mutex);
		rounds = i;
		s->sum = -i;
		pthread_cond_signal(&mixed.condition);
		while (s->sum == -i)
			pthread_cond_wait(&mixed.condition, &s->mutex);
	}
	pthread_mutex_unlock(&s->mutex);
	pthread_join(thread, NULL);
	say("with a condition of its own: %d rounds", rounds);
}

static void ask(void *memory)
{
	ask_deadlines(memory);
	ask_who_wakes(memory);
	ask_passing(memory);
	ask_cancellation(memory);
	ask_deaths(memory);
	ask_mixed(memory);
}

static void body(void)
{
	locks_on_each_ground(sizeof(struct shared), ask);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
