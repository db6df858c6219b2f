/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How far a copy has come, as a line on a terminal. Where standard error is none, nothing. */
#ifndef SHMEMU_CLI_PROGRESS_H
#define SHMEMU_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *what; /* borrowed */
	uint64_t total;   /* bytes; 0: unknown */
	bool shown;
	int width;        /* of the terminal; 0: there is none */
	uint64_t began, last; /* nanoseconds */
};

void progress_begin(struct progress *progress, const char *what, uint64_t total);

/* So many bytes are done. Draws at most ten times a second. */
void progress_at(struct progress *progress, uint64_t done);

/* Takes the line away. */
void progress_end(struct progress *progress);

#endif
