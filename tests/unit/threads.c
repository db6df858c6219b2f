/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What threads share in the library: the pool of connections and the table of semaphores, used by
 * many at once while others fork; and what a process shares with the worker, a lane. Without
 * Criterion, whose runner does not live under the thread sanitizer. Descriptors come and go by raw
 * system calls here too: the sanitizer would miss those of the library and take a number that is
 * used again for a race. TAP on standard output. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/sys.h"
#include "preload/pool.h"
#include "preload/table.h"
#include "tests/unit/lane_races.h"

enum { THREADS = 8, ROUNDS = 5000, FILES = 4, RACES = 20000 };

static atomic_int users[POOL_SIZE];
static atomic_int wrong;
static int files[FILES];

static void *use_pool(void *unused)
{
	for (int i = 0; i < ROUNDS; i++) {
		int other;
		struct line line = pool_take(&other);

		if (line.slot >= 0 && atomic_fetch_add(&users[line.slot], 1) != 0)
			wrong++;
		if (other >= 0)
			sys_close(other);
		if (line.sock < 0)
			line.sock = sys_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		if (line.slot >= 0)
			atomic_fetch_sub(&users[line.slot], 1);
		if (i % 7)
			pool_put(line);
		else
			pool_cut(line);
	}
	return unused;
}

static void *use_table(void *unused)
{
	for (int i = 0; i < ROUNDS; i++) {
		sem_t *first = NULL;
		sem_t *second = NULL;

		if (table_open(files[i % FILES], NULL, &first) < 0 ||
		    table_open(files[i % FILES], NULL, &second) < 0 || first != second ||
		    table_close(first) < 0 || table_close(second) < 0)
			wrong++;
	}
	return unused;
}

static bool run(void *(*use)(void *), int forks)
{
	pthread_t threads[THREADS];
	int status = 0;

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, use, NULL);
	for (int i = 0; i < forks; i++) {
		if (fork() == 0)
			_exit(0);
		wait(&status);
		if (status)
			wrong++;
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return wrong == 0;
}

static int report(int number, const char *name, bool passed)
{
	printf("%sok %d - %s\n", passed ? "" : "not ", number, name);
	return passed ? 0 : 1;
}

int main(void)
{
	int failed = 0;

	for (int i = 0; i < FILES; i++) {
		files[i] = memfd_create("sem", MFD_CLOEXEC);
		if (files[i] < 0 || ftruncate(files[i], sizeof(sem_t)) < 0)
			return 1;
	}
	/* Else a child that was forked might say it all again. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("1..5");
	failed += report(1, "a connection has one user at a time", run(use_pool, 0));
	failed += report(2, "a semaphore has one address, forks or not", run(use_table, 200));
	failed += report(3, "a request is given up or served", lane_race_give_up(RACES));
	failed += report(4, "a last look finds what is not", lane_race_last_look(RACES));
	failed += report(5, "who sleeps is woken", lane_race_sleep(RACES / 10));
	return failed;
}
