/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program of questions, each of them something that is done so and so often and timed. bench/run
 * asks which there are, and starts the program for each round anew: see there for what the two say
 * to each other. */
#ifndef SHMEMU_BENCH_PAIRS_H
#define SHMEMU_BENCH_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct pairs_kind {
	const char *name;
	void (*run)(long count);
	long count;                 /* of one round */
	void (*before)(long count); /* not timed; may be NULL, as the next */
	void (*after)(long count);
	bool cold;                  /* not to be run a little before, to warm up */
	bool processor;             /* its own time on the processor is what counts */
	bool starts_others;         /* what has the library are programs that it starts */
	const char *sides;          /* NULL: "native, shmemu" */
	long long memory;           /* bytes that it takes, */
	long long shm;              /* and that /dev/shm must have */
	int turns;                  /* at most so many, for what takes long; 0: any number */
};

struct pairs {
	const struct pairs_kind *kinds;
	size_t count;
	void (*prepare)(void); /* a round's process, before all else; may be NULL */
};

/* Ends the process with errno's text. */
_Noreturn void die(const char *what);

/* Ends the process: this question is none here. */
_Noreturn void skip(const char *why);

/* Runs it in another process, that dies with this one; and waits for that. */
pid_t start(void (*serve)(const int *with, long count), const int *with, long count);
void finish(pid_t pid);

/* A name, below the prefix, that no other process takes: static. */
const char *own_name(const char *prefix);

/* Few and short: what takes much is to take little. */
bool is_quick(void);

/* The program's main. */
int pairs_main(const struct pairs *pairs, int argc, char **argv);

#endif
