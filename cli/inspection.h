/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What doctor has to say of programs, as a table with a verdict. */
#ifndef SHMEMU_CLI_INSPECTION_H
#define SHMEMU_CLI_INSPECTION_H

#include <stdbool.h>
#include <sys/types.h>

#include "cli/judge.h"

enum { INSPECTION_FIT, INSPECTION_UNFIT }; /* exit statuses */

struct inspection {
	struct libscols_table *table;
	bool json;
	bool has_pids;
	struct judge judge;
};

void inspection_begin(struct inspection *inspection, bool json, bool colours, bool has_pids);

/* A row. `pid` 0: none. */
void inspection_add(struct inspection *inspection, pid_t pid, const char *program,
                    const struct judgement *judgement);

/* Prints all, and the verdict. */
void inspection_end(struct inspection *inspection, const char *verdict);

#endif
