/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mutexes that processes share: each type, and owners that die. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/probes/locks.h"
#include "tests/probes/probe.h"

enum { ROUNDS = 200 };

struct shared {
	pthread_mutex_t mutex;
	sem_t sem;
	long count;
	int type;
	bool robust;
};

static const struct {
	const char *name;
	int type;
} types[] = {
	{"normal", PTHREAD_MUTEX_NORMAL},
	{"recursive", PTHREAD_MUTEX_RECURSIVE},
	{"errorcheck", PTHREAD_MUTEX_ERRORCHECK},
	{"adaptive", PTHREAD_MUTEX_ADAPTIVE_NP},
};

static bool looks_at_owner(const struct shared *s)
{
	return s->robust || s->type == PTHREAD_MUTEX_RECURSIVE ||
	       s->type == PTHREAD_MUTEX_ERRORCHECK;
}

static bool blocks_itself(const struct shared *s)
{
	return s->type == PTHREAD_MUTEX_NORMAL || s->type == PTHREAD_MUTEX_ADAPTIVE_NP;
}

static const char *timed(struct shared *s)
{
	struct timespec when = locks_in(CLOCK_REALTIME, LOCKS_FEW_MS);

	return locks_name(pthread_mutex_timedlock(&s->mutex, &when));
}

static const char *clocked(struct shared *s)
{
	struct timespec when = locks_in(CLOCK_MONOTONIC, LOCKS_FEW_MS);

	return locks_name(pthread_mutex_clocklock(&s->mutex, CLOCK_MONOTONIC, &when));
}

static int try_elsewhere(void *argument)
{
	struct shared *s = argument;

	say("another: try %s", locks_name(pthread_mutex_trylock(&s->mutex)));
	say("another: timed %s, by a clock %s", timed(s), clocked(s));
	for (int i = 0; i < LOCKS_BAD_DEADLINES; i++)
		say("another: %s: %s", locks_bad[i].label,
		    locks_name(pthread_mutex_timedlock(&s->mutex, &locks_bad[i].at)));
	if (looks_at_owner(s))
		say("another: unlock %s", locks_name(pthread_mutex_unlock(&s->mutex)));
	return 0;
}

static int take_and_leave(void *argument)
{
	struct shared *s = argument;
	int error = pthread_mutex_lock(&s->mutex);

	return error ? error : pthread_mutex_unlock(&s->mutex);
}

static void *in_thread(void *argument)
{
	try_elsewhere(argument);
	return NULL;
}

static void ask_own(struct shared *s)
{
	struct timespec when = locks_in(CLOCK_REALTIME, LOCKS_FEW_MS);

	say("lock %s", locks_name(pthread_mutex_lock(&s->mutex)));
	say("try %s", locks_name(pthread_mutex_trylock(&s->mutex)));
	say("timed %s", timed(s));
	say("by a clock %s", clocked(s));
	if (!blocks_itself(s))
		say("lock %s", locks_name(pthread_mutex_lock(&s->mutex)));
	say("no clock to wait by: %s",
	    locks_name(pthread_mutex_clocklock(&s->mutex, CLOCK_PROCESS_CPUTIME_ID, &when)));
	if (s->type == PTHREAD_MUTEX_RECURSIVE)
		for (int i = 0; i < 4; i++)
			say("unlock %s", locks_name(pthread_mutex_unlock(&s->mutex)));
}

static void ask_type(struct shared *s)
{
	pthread_t thread;

	locks_mutex(&s->mutex, s->type, s->robust);
	say("consistent %s", locks_name(pthread_mutex_consistent(&s->mutex)));
	ask_own(s);
	say("held: %d", await_child(locks_beside(try_elsewhere, s)));
	must(pthread_create(&thread, NULL, in_thread, s) == 0 && pthread_join(thread, NULL) == 0);
	if (!s->robust)
		say("destroy %s", locks_name(pthread_mutex_destroy(&s->mutex)));
	say("unlock %s", locks_name(pthread_mutex_unlock(&s->mutex)));
	if (looks_at_owner(s))
		say("unlock %s", locks_name(pthread_mutex_unlock(&s->mutex)));
	say("free: %d", await_child(locks_beside(take_and_leave, s)));
	say("try %s", locks_name(pthread_mutex_trylock(&s->mutex)));
	say("unlock %s", locks_name(pthread_mutex_unlock(&s->mutex)));
	say("by a clock %s", clocked(s));
	say("unlock %s", locks_name(pthread_mutex_unlock(&s->mutex)));
	say("destroy %s", locks_name(pthread_mutex_destroy(&s->mutex)));
	say("lock %s", locks_name(pthread_mutex_lock(&s->mutex)));
	say("try %s", locks_name(pthread_mutex_trylock(&s->mutex)));
}

static int count_up(void *argument)
{
	struct shared *s = argument;

	for (int i = 0; i < ROUNDS; i++) {
		if (pthread_mutex_lock(&s->mutex) != 0)
			return 1;
		s->count++;
		if (pthread_mutex_unlock(&s->mutex) != 0)
			return 1;
	}
	return 0;
}

static void ask_counting(struct shared *s)
{
	locks_mutex(&s->mutex, s->type, s->robust);
	s->count = 0;
	say("counted by processes: %d", locks_in_processes(count_up, s));
	pthread_mutex_lock(&s->mutex);
	say("to %ld", s->count);
	pthread_mutex_unlock(&s->mutex);
	say("and by threads: %d, to %ld", locks_in_threads(count_up, s), s->count);
}

/* Ways for an owner to end. */
enum ending { EXITS, IS_KILLED, EXECUTES, ENDINGS };

static const char *const endings[] = {"exits", "is killed", "executes"};
static enum ending ending;

static int end_as_owner(void *argument)
{
	struct shared *s = argument;

	if (pthread_mutex_lock(&s->mutex) != 0)
		return 1;
	sem_post(&s->sem);
	locks_pause(LOCKS_FEW_MS);
	if (ending == IS_KILLED)
		raise(SIGKILL);
	if (ending == EXECUTES)
		execl("/bin/true", "true", (char *)NULL);
	return 0;
}

static void *thread_as_owner(void *argument)
{
	struct shared *s = argument;

	pthread_mutex_lock(&s->mutex);
	return NULL;
}

static void begin_death(struct shared *s)
{
	locks_mutex(&s->mutex, s->type, true);
	must(sem_init(&s->sem, 1, 0) == 0);
	must(locks_beside(end_as_owner, s) > 0);
	must(sem_wait(&s->sem) == 0);
}

static void ask_death(struct shared *s)
{
	begin_death(s);
	say("lock %s", locks_name(pthread_mutex_lock(&s->mutex)));
	say("held: %d", await_child(locks_beside(try_elsewhere, s)));
	say("consistent %s", locks_name(pthread_mutex_consistent(&s->mutex)));
	say("again %s", locks_name(pthread_mutex_consistent(&s->mutex)));
	say("unlock %s", locks_name(pthread_mutex_unlock(&s->mutex)));
	say("free: %d", await_child(locks_beside(take_and_leave, s)));
	while (wait(NULL) > 0)
		;
	begin_death(s);
	while (wait(NULL) > 0)
		;
	say("try %s", locks_name(pthread_mutex_trylock(&s->mutex)));
	say("unlock %s", locks_name(pthread_mutex_unlock(&s->mutex)));
	say("lock %s", locks_name(pthread_mutex_lock(&s->mutex)));
	say("elsewhere: %s", locks_name(await_child(locks_beside(take_and_leave, s))));
	say("timed %s", timed(s));
	say("consistent %s", locks_name(pthread_mutex_consistent(&s->mutex)));
	/* glibc's holds it then. */
	say("try %s", locks_name(pthread_mutex_trylock(&s->mutex)));
	say("destroy %s", locks_name(pthread_mutex_destroy(&s->mutex)));
	begin_death(s);
	while (wait(NULL) > 0)
		;
	say("timed %s", timed(s));
	say("consistent %s", locks_name(pthread_mutex_consistent(&s->mutex)));
	say("unlock %s", locks_name(pthread_mutex_unlock(&s->mutex)));
}

static int try_to_take(void *argument)
{
	struct shared *s = argument;
	struct timespec when = locks_in(CLOCK_REALTIME, LOCKS_FEW_MS);

	return pthread_mutex_timedlock(&s->mutex, &when);
}

static void ask_threads_death(struct shared *s)
{
	pthread_t thread;

	locks_mutex(&s->mutex, s->type, true);
	must(pthread_create(&thread, NULL, thread_as_owner, s) == 0);
	must(pthread_join(thread, NULL) == 0);
	say("a thread's: lock %s", locks_name(pthread_mutex_lock(&s->mutex)));
	say("elsewhere: %s", locks_name(await_child(locks_beside(try_to_take, s))));
	say("consistent %s", locks_name(pthread_mutex_consistent(&s->mutex)));
	say("unlock %s", locks_name(pthread_mutex_unlock(&s->mutex)));
	say("destroy %s", locks_name(pthread_mutex_destroy(&s->mutex)));
}

static void ask(void *memory)
{
	struct shared *s = memory;

	for (int i = 0; i < 8; i++) {
		s->type = types[i / 2].type;
		s->robust = i % 2;
		say("%s%s", types[i / 2].name, s->robust ? ", robust" : "");
		ask_type(s);
		ask_counting(s);
	}
	for (int i = 0; i < ENDINGS; i++) {
		s->type = types[i].type;
		ending = (enum ending)i;
		say("%s, its owner %s", types[i].name, endings[i]);
		ask_death(s);
		ask_threads_death(s);
	}
}

static void body(void)
{
	locks_on_each_ground(sizeof(struct shared), ask);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
