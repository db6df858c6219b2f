/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench/pairs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAIRS_MAX = 101 };

void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static double seconds_now(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The round itself, in a process of its own: prints the nanoseconds of a call. */
static int run_round(const struct pairs *pairs, const char *name, const char *times)
{
	long count = atol(times);

	for (size_t i = 0; i < pairs->count; i++)
		if (strcmp(pairs->kinds[i].name, name) == 0) {
			double began;

			if (pairs->prepare)
				pairs->prepare();
			pairs->kinds[i].run(count / 100 + 1);
			began = seconds_now(pairs->clock);
			pairs->kinds[i].run(count);
			printf("%.4f\n",
			       (seconds_now(pairs->clock) - began) * 1e9 / (double)count);
			return EXIT_SUCCESS;
		}
	return EXIT_FAILURE;
}

static double start_round(const char *library, const char *name, long count)
{
	char times[32], answer[64] = "";
	int ends[2];
	pid_t pid = -1;
	int status;

	snprintf(times, sizeof times, "%ld", count);
	if (pipe(ends) < 0 || (pid = fork()) < 0)
		die("a round");
	if (pid == 0) {
		if (library)
			setenv("LD_PRELOAD", library, 1);
		else
			unsetenv("LD_PRELOAD");
		dup2(ends[1], STDOUT_FILENO);
		execl("/proc/self/exe", "bench", "--round", name, times, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	for (size_t used = 0; used < sizeof answer - 1;) {
		ssize_t got = read(ends[0], answer + used, sizeof answer - 1 - used);

		if (got <= 0)
			break;
		used += (size_t)got;
	}
	close(ends[0]);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		die("a round failed");
	return atof(answer);
}

static int compare(const void *a, const void *b)
{
	double one = *(const double *)a, other = *(const double *)b;

	return (one > other) - (one < other);
}

static void measure(const char *library, const struct pairs_kind *kind, int pairs)
{
	double native[PAIRS_MAX], ours[PAIRS_MAX], ratio[PAIRS_MAX];
	long count = kind->count / pairs;

	for (int i = 0; i < pairs; i++) {
		/* Who begins changes, in case the machine gets slower or faster. */
		if (i % 2)
			ours[i] = start_round(library, kind->name, count);
		native[i] = start_round(NULL, kind->name, count);
		if (i % 2 == 0)
			ours[i] = start_round(library, kind->name, count);
		ratio[i] = ours[i] / native[i];
	}
	qsort(native, (size_t)pairs, sizeof native[0], compare);
	qsort(ours, (size_t)pairs, sizeof ours[0], compare);
	qsort(ratio, (size_t)pairs, sizeof ratio[0], compare);
	printf("%-26s %9ld %9.1f %9.1f   %6.3f   %.3f .. %.3f   %.3f .. %.3f\n", kind->name,
	       count * pairs, native[pairs / 2], ours[pairs / 2], ratio[pairs / 2],
	       ratio[pairs / 4], ratio[pairs - 1 - pairs / 4], ratio[0], ratio[pairs - 1]);
	fflush(stdout);
}

int pairs_main(const struct pairs *pairs, int argc, char **argv)
{
	int wanted = argc > 2 ? atoi(argv[2]) : 21;

	if (argc == 4 && strcmp(argv[1], "--round") == 0)
		return run_round(pairs, argv[2], argv[3]);
	if (argc < 2 || wanted < 1 || wanted > PAIRS_MAX) {
		fprintf(stderr, "usage: bench LIBRARY [PAIRS [KIND]...]: up to %d PAIRS\n",
		        PAIRS_MAX);
		return 2;
	}
	printf("%-26s %9s %9s %9s   %6s   %14s   %14s\n", "ns of a call", "calls", "native",
	       "library", "ratio", "middle half", "all pairs");
	for (size_t i = 0; i < pairs->count; i++) {
		int asked = argc <= 3;

		for (int j = 3; j < argc; j++)
			asked |= strstr(pairs->kinds[i].name, argv[j]) != NULL;
		if (asked)
			measure(argv[1], &pairs->kinds[i], wanted);
	}
	return EXIT_SUCCESS;
}
