/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the facts have in common: children that try what a process can't undo. */
#ifndef SHMEMU_CLI_FACTS_I_H
#define SHMEMU_CLI_FACTS_I_H

#include <stdbool.h>

/* A child's answer: 0 or an errno, and what it may add. */
struct answer {
	int error;
	int refusal;   /* of passthrough, an errno */
	bool huge;
	bool borrowed; /* from a user namespace */
};

struct answer fact_try(void (*attempt)(struct answer *answer));

/* In the child: a user namespace of its own, with mounts of its own. */
void fact_enter_user_namespace(struct answer *answer);

#endif
