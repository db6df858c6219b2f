/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unnamed semaphores that processes share. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/probes/locks.h"
#include "tests/probes/probe.h"

enum { ROUNDS = 200 };

struct shared {
	sem_t sem, other;
	long count;
};

static int value_of(sem_t *sem)
{
	int value = -1;

	return sem_getvalue(sem, &value) == 0 ? value : -1;
}

static void ask_values(struct shared *s)
{
	say("too much: %s", outcome(sem_init(&s->sem, 1, SEM_VALUE_MAX + 1U)));
	say("none: %s", outcome(sem_init(&s->sem, 1, 0)));
	say("value %d, try %s", value_of(&s->sem), outcome(sem_trywait(&s->sem)));
	say("post %s, value %d", outcome(sem_post(&s->sem)), value_of(&s->sem));
	say("try %s, value %d", outcome(sem_trywait(&s->sem)), value_of(&s->sem));
	say("full: %s", outcome(sem_init(&s->sem, 1, SEM_VALUE_MAX)));
	say("post %s, value %d", outcome(sem_post(&s->sem)), value_of(&s->sem));
	say("wait %s, value %d", outcome(sem_wait(&s->sem)), value_of(&s->sem));
	say("destroy %s", outcome(sem_destroy(&s->sem)));
}

static void ask_deadlines(struct shared *s)
{
	struct timespec when;

	for (unsigned value = 0; value < 2; value++)
		for (int i = 0; i < LOCKS_BAD_DEADLINES; i++) {
			must(sem_init(&s->sem, 1, value) == 0);
			say("%u, %s: %s", value, locks_bad[i].label,
			    outcome(sem_timedwait(&s->sem, &locks_bad[i].at)));
			say("value %d", value_of(&s->sem));
		}
	must(sem_init(&s->sem, 1, 0) == 0);
	when = locks_in(CLOCK_REALTIME, LOCKS_FEW_MS);
	say("soon: %s", outcome(sem_timedwait(&s->sem, &when)));
	when = locks_in(CLOCK_MONOTONIC, LOCKS_FEW_MS);
	say("soon by the other clock: %s",
	    outcome(sem_clockwait(&s->sem, CLOCK_MONOTONIC, &when)));
	say("passed: %s", outcome(sem_clockwait(&s->sem, CLOCK_MONOTONIC, &when)));
	say("no clock to wait by: %s",
	    outcome(sem_clockwait(&s->sem, CLOCK_PROCESS_CPUTIME_ID, &when)));
	sem_post(&s->sem);
	say("passed, but there: %s", outcome(sem_clockwait(&s->sem, CLOCK_MONOTONIC, &when)));
}

static int post_late(void *argument)
{
	struct shared *s = argument;

	locks_pause(10 * LOCKS_FEW_MS);
	return sem_post(&s->sem);
}

static sem_t *posted;
static volatile sig_atomic_t rings;

static void ring(int number)
{
	(void)number;
	rings++;
	if (posted)
		sem_post(posted);
}

/* Again each second: on a busy machine the first may ring before the wait has begun. */
static void set_bell(int flags)
{
	struct sigaction bell = {.sa_handler = ring, .sa_flags = flags};
	struct itimerval soon = {.it_interval.tv_sec = 1, .it_value.tv_usec = LOCKS_FEW_MS * 1000};

	rings = 0;
	sigaction(SIGALRM, &bell, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
}

static void take_bell(void)
{
	const struct itimerval never = {.it_value.tv_sec = 0};

	setitimer(ITIMER_REAL, &never, NULL);
}

static void ask_signals(struct shared *s)
{
	struct timespec when;
	pid_t child;

	must(sem_init(&s->sem, 1, 0) == 0);
	set_bell(0);
	say("interrupted: %s", outcome(sem_wait(&s->sem)));
	say("rung %d, value %d", rings > 0, value_of(&s->sem));
	set_bell(0);
	when = locks_in(CLOCK_REALTIME, LOCKS_LONG_MS);
	say("interrupted with a deadline: %s", outcome(sem_timedwait(&s->sem, &when)));
	set_bell(SA_RESTART);
	say("and by who restarts: %s", outcome(sem_timedwait(&s->sem, &when)));
	child = locks_beside(post_late, s);
	set_bell(SA_RESTART);
	say("restarted: %s", outcome(sem_wait(&s->sem)));
	say("rung %d, child %d", rings > 0, await_child(child));
	posted = &s->sem;
	set_bell(SA_RESTART);
	say("posted by the handler: %s, value %d", outcome(sem_wait(&s->sem)), value_of(&s->sem));
	set_bell(0);
	say("and interrupted: %s, value %d", outcome(sem_wait(&s->sem)), value_of(&s->sem));
	take_bell();
	posted = NULL;
}

static void *wait_once(void *argument)
{
	struct shared *s = argument;

	return (void *)(intptr_t)sem_wait(&s->sem);
}

/* A cancellation that is there before it is acted upon even where nothing would block. */
static void *wait_cancelled(void *argument)
{
	struct shared *s = argument;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	sem_wait(&s->other);
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	sem_wait(&s->sem);
	return NULL;
}

static void ask_cancellation(struct shared *s)
{
	pthread_t thread;
	void *result;

	must(sem_init(&s->sem, 1, 0) == 0 && sem_init(&s->other, 1, 0) == 0);
	must(pthread_create(&thread, NULL, wait_once, s) == 0);
	locks_pause(LOCKS_FEW_MS);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	say("cancelled while waiting: %d", result == PTHREAD_CANCELED);
	sem_post(&s->sem);
	must(pthread_create(&thread, NULL, wait_cancelled, s) == 0);
	pthread_cancel(thread);
	sem_post(&s->other);
	pthread_join(thread, &result);
	say("cancelled before: %d, value %d", result == PTHREAD_CANCELED, value_of(&s->sem));
	say("wait %s", outcome(sem_wait(&s->sem)));
}

static int count_up(void *argument)
{
	struct shared *s = argument;

	for (int i = 0; i < ROUNDS; i++) {
		if (sem_wait(&s->sem) != 0)
			return 1;
		s->count++;
		if (sem_post(&s->sem) != 0)
			return 1;
	}
	return 0;
}

static int answer(void *argument)
{
	struct shared *s = argument;

	for (int i = 0; i < ROUNDS; i++)
		if (sem_wait(&s->sem) != 0 || s->count++ != 2 * i + 1 || sem_post(&s->other) != 0)
			return 1;
	return 0;
}

static int wait_and_tell(void *argument)
{
	struct shared *s = argument;

	return sem_wait(&s->sem) != 0 || sem_post(&s->other) != 0;
}

static int wait_for_ever(void *argument)
{
	struct shared *s = argument;

	sem_wait(&s->sem);
	return 1;
}

static void ask_sides(struct shared *s)
{
	pid_t child;
	int wrong = 0;

	must(sem_init(&s->sem, 1, 1) == 0);
	s->count = 0;
	say("counted by processes: %d, ", locks_in_processes(count_up, s));
	sem_wait(&s->sem);
	say("to %ld", s->count);
	sem_post(&s->sem);
	say("and by threads: %d, to %ld", locks_in_threads(count_up, s), s->count);
	must(sem_init(&s->sem, 1, 0) == 0 && sem_init(&s->other, 1, 0) == 0);
	s->count = 0;
	child = locks_beside(answer, s);
	for (int i = 0; i < ROUNDS; i++) {
		wrong += s->count++ != 2 * i;
		sem_post(&s->sem);
		sem_wait(&s->other);
	}
	say("passed to and fro: %d wrong, child %d, %ld", wrong, await_child(child), s->count);
	child = locks_beside(wait_for_ever, s);
	locks_pause(LOCKS_FEW_MS);
	kill(child, SIGKILL);
	say("killed while waiting: %d", await_child(child));
	child = locks_beside(wait_and_tell, s);
	locks_beside(wait_and_tell, s);
	locks_pause(LOCKS_FEW_MS);
	sem_post(&s->sem);
	sem_post(&s->sem);
	say("both woken: %s %s", outcome(sem_wait(&s->other)), outcome(sem_wait(&s->other)));
	while (wait(NULL) > 0)
		;
	say("values %d %d", value_of(&s->sem), value_of(&s->other));
}

/* One object by two addresses. */
static void ask_addresses(void)
{
	int fd = make_segment("/twice", 0600, 4096);
	struct shared *one = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct shared *two = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	must(one != MAP_FAILED && two != MAP_FAILED && sem_init(&one->sem, 1, 1) == 0);
	must(msync(one, 4096, MS_SYNC) == 0);
	say("by the other address: %s, then %s", outcome(sem_trywait(&two->sem)),
	    outcome(sem_trywait(&one->sem)));
	must(munmap(one, 4096) == 0 && munmap(two, 4096) == 0 && close(fd) == 0);
	must(shm_unlink("/twice") == 0);
}

static void ask(void *memory)
{
	ask_values(memory);
	ask_deadlines(memory);
	ask_signals(memory);
	ask_cancellation(memory);
	ask_sides(memory);
}

static void body(void)
{
	locks_on_each_ground(sizeof(struct shared), ask);
	ask_addresses();
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
