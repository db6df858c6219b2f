/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the probes of process-shared objects have in common. */
#ifndef SHMEMU_TESTS_PROBES_LOCKS_H
#define SHMEMU_TESTS_PROBES_LOCKS_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

enum { LOCKS_SIDES = 4, LOCKS_FEW_MS = 10, LOCKS_LONG_MS = 20000 };

/* Calls `body` with zeroed memory that processes share: anonymous, and a segment's. */
void locks_on_each_ground(size_t size, void (*body)(void *memory));

/* The name of an errno that was returned, "ok" for 0. */
const char *locks_name(int error);

/* So many milliseconds from now. */
struct timespec locks_in(clockid_t clock, long milliseconds);

void locks_pause(long milliseconds);

/* `body` at once in LOCKS_SIDES processes, or threads; returns how many of them returned 0. */
int locks_in_processes(int (*body)(void *), void *argument);
int locks_in_threads(int (*body)(void *), void *argument);

/* `body` in a forked child, which is not waited for; it exits with what that returns. */
pid_t locks_beside(int (*body)(void *), void *argument);

/* Deadlines that are none, each with the name of what is wrong. */
struct locks_deadline {
	const char *label;
	struct timespec at;
};

enum { LOCKS_BAD_DEADLINES = 3 };
extern const struct locks_deadline locks_bad[LOCKS_BAD_DEADLINES];

void locks_mutex(pthread_mutex_t *mutex, int type, bool robust);

#endif
