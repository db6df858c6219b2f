/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much room a daemon has and gives, as of one moment. */
#ifndef SHMEMU_CLI_USAGE_H
#define SHMEMU_CLI_USAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/wire.h"

/* Of all, or of a user's share. */
struct usage_row {
	bool is_share;
	uint32_t uid;       /* whose */
	uint64_t size;      /* bytes */
	uint64_t used;
	uint64_t available; /* to who asks */
};

struct usage {
	struct usage_row *rows; /* the first is of all */
	size_t count;
	uint64_t inodes; /* that there may be; 0: any number */
	uint64_t inodes_used;
	const char *backing; /* where memory comes from */
	char mountpoint[WIRE_TEXT_MAX + 1]; /* "": there is none */
};

#define USAGE_NULL ((struct usage){.rows = NULL})

/* Asks the daemon. Returns 0 or -errno, -EPROTONOSUPPORT of one that is too old to tell. Ends the
 * program when there is no memory. */
int usage_read(int sock, struct usage *ret_usage);
void usage_free(struct usage *usage); /* empties it */

/* As df(1) has it: of what is used and what is left, in percent and rounded up. */
unsigned usage_percent(uint64_t used, uint64_t available);

#endif
