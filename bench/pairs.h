/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares what calls cost without the library and with it. The program starts itself again and
 * again, in turn without and with it, and compares each pair: what the machine does besides falls
 * on both. For each kind of call it prints the times of a call, the median of the pairs' ratios,
 * and between which two the middle half of them lies. */
#ifndef SHMEMU_BENCH_PAIRS_H
#define SHMEMU_BENCH_PAIRS_H

#include <stddef.h>
#include <time.h>

struct pairs_kind {
	const char *name;
	void (*run)(long count);
	long count; /* of all together, over all pairs; a round does its part */
};

struct pairs {
	const struct pairs_kind *kinds;
	size_t count;
	clockid_t clock;
	void (*prepare)(void); /* a round's process, before it is timed; may be NULL */
};

/* Ends the process with errno's text. */
_Noreturn void die(const char *what);

/* The program's main. */
int pairs_main(const struct pairs *pairs, int argc, char **argv);

#endif
