/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How often each call was made, by which road, and what it took. */
#ifndef SHMEMU_CLI_TALLY_H
#define SHMEMU_CLI_TALLY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/traced.h"

struct tally {
	struct tally_count {
		uint64_t calls;
		uint64_t errors;
		uint64_t took; /* ns */
	} counts[TRACED_CALLS][TRACED_ROADS];
};

void tally_add(struct tally *tally, const struct traced_record *record);

/* As a table, what took the longest first. */
void tally_print(const struct tally *tally, bool json, FILE *stream);

extern const char *const tally_roads[TRACED_ROADS];

#endif
