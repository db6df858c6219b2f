/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/probes/locks.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/probes/probe.h"

#define NAME "/locks"

const struct locks_deadline locks_bad[LOCKS_BAD_DEADLINES] = {
	{"-1 ns", {0, -1}},
	{"a second in ns", {0, 1000000000}},
	{"before all time", {-5, 0}},
};

void locks_on_each_ground(size_t size, void (*body)(void *memory))
{
	int fd = make_segment(NAME, 0600, (off_t)size);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	say("in anonymous memory");
	body(shared_memory(size));
	must(memory != MAP_FAILED);
	say("in a segment");
	close(fd);
	body(memory);
	must(munmap(memory, size) == 0 && shm_unlink(NAME) == 0);
}

const char *locks_name(int error)
{
	return error ? strerrorname_np(error) : "ok";
}

struct timespec locks_in(clockid_t clock, long milliseconds)
{
	struct timespec time;

	clock_gettime(clock, &time);
	time.tv_nsec += milliseconds % 1000 * 1000000;
	time.tv_sec += milliseconds / 1000 + time.tv_nsec / 1000000000;
	time.tv_nsec %= 1000000000;
	return time;
}

void locks_pause(long milliseconds)
{
	struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};

	while (nanosleep(&time, &time) != 0)
		;
}

pid_t locks_beside(int (*body)(void *), void *argument)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(body(argument));
	return pid;
}

int locks_in_processes(int (*body)(void *), void *argument)
{
	pid_t pids[LOCKS_SIDES];
	int good = 0;

	for (int i = 0; i < LOCKS_SIDES; i++)
		pids[i] = locks_beside(body, argument);
	for (int i = 0; i < LOCKS_SIDES; i++)
		good += await_child(pids[i]) == 0;
	return good;
}

struct side {
	int (*body)(void *);
	void *argument;
};

static void *run_side(void *argument)
{
	const struct side *side = argument;

	return (void *)(intptr_t)side->body(side->argument);
}

int locks_in_threads(int (*body)(void *), void *argument)
{
	struct side side = {body, argument};
	pthread_t threads[LOCKS_SIDES];
	void *result;
	int good = 0;

	for (int i = 0; i < LOCKS_SIDES; i++)
		must(pthread_create(&threads[i], NULL, run_side, &side) == 0);
	for (int i = 0; i < LOCKS_SIDES; i++)
		good += pthread_join(threads[i], &result) == 0 && !result;
	return good;
}

void locks_mutex(pthread_mutex_t *mutex, int type, bool robust)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_settype(&attributes, type);
	pthread_mutexattr_setrobust(&attributes,
	                            robust ? PTHREAD_MUTEX_ROBUST : PTHREAD_MUTEX_STALLED);
	must(pthread_mutex_init(mutex, &attributes) == 0);
	pthread_mutexattr_destroy(&attributes);
}
