/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words of `shmemu without`: what a host can lack, and hosts that lack several of them. */
#ifndef SHMEMU_CLI_THINGS_H
#define SHMEMU_CLI_THINGS_H

#include "cli/deny.h"

enum { PARTS_MAX = 24 };

/* A name ending in "=SIZE" takes one. */
struct thing {
	const char *name;
	const char *summary;
	struct deny_op op; /* its errno is the one that is the default; 0: it has none */
};

struct profile {
	const char *name;
	const char *summary;
	const char *source; /* of the facts */
	const char *parts[PARTS_MAX];
};

extern const struct thing things[];
extern const size_t thing_count;
extern const struct profile profiles[];
extern const size_t profile_count;

/* Whether another errno can be chosen, and a moment. */
bool thing_takes_errno(const struct thing *thing);
bool thing_takes_moment(const struct thing *thing);

/* Adds what the word says. Ends the program with one line if it says nothing. */
void things_add(struct deny *deny, const char *word);

/* Prints all of them, for people or as JSON. */
void things_list(bool json);

#endif
