/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench/pairs.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SKIPPED = 77 };

void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

void skip(const char *why)
{
	puts(why);
	exit(SKIPPED);
}

pid_t start(void (*serve)(const int *with, long count), const int *with, long count)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(with, count);
		_exit(EXIT_SUCCESS);
	}
	return pid;
}

void finish(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status != 0)
		die("the other process");
}

const char *own_name(const char *prefix)
{
	static char name[128];

	snprintf(name, sizeof name, "%s/shmemu-bench-%ld", prefix, (long)getpid());
	return name;
}

bool is_quick(void)
{
	return getenv("SHMEMU_BENCH_QUICK") != NULL;
}

static double seconds_now(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Returns the nanoseconds of one. */
static double do_often(const struct pairs *pairs, const struct pairs_kind *kind, long count)
{
	/* What else the machine does counts less then. */
	clockid_t clock = kind->processor ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
	double began, took;

	if (pairs->prepare)
		pairs->prepare();
	if (kind->before)
		kind->before(count);
	if (!kind->cold)
		kind->run(count / 100 + 1);
	began = seconds_now(clock);
	kind->run(count);
	took = seconds_now(clock) - began;
	if (kind->after)
		kind->after(count);
	return took * 1e9 / (double)count;
}

static int run_round(const struct pairs *pairs, const char *name, long count)
{
	for (size_t i = 0; i < pairs->count; i++)
		if (strcmp(pairs->kinds[i].name, name) == 0) {
			printf("%.4f\n", do_often(pairs, &pairs->kinds[i], count));
			return EXIT_SUCCESS;
		}
	return EXIT_FAILURE;
}

/* The names have nothing in them that JSON would have quoted. */
static int list(const struct pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++) {
		const struct pairs_kind *kind = &pairs->kinds[i];

		printf("{\"name\": \"%s\", \"count\": %ld, \"unit\": \"ns\", \"sides\": \"%s\", "
		       "\"memory\": %lld, \"shm\": %lld, \"turns\": %d, \"preload\": %s}\n",
		       kind->name, kind->count, kind->sides ? kind->sides : "native, shmemu",
		       kind->memory, kind->shm, kind->turns,
		       kind->starts_others ? "false" : "true");
	}
	return EXIT_SUCCESS;
}

int pairs_main(const struct pairs *pairs, int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "--round") == 0 && atol(argv[3]) > 0)
		return run_round(pairs, argv[2], atol(argv[3]));
	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return list(pairs);
	fprintf(stderr, "usage: %s --list | --round NAME COUNT\n", argv[0]);
	return 2;
}
