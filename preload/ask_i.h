/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What ask.c does for whoever puts a question, of whatever kind: ask.h, ask_ipc.h. */
#ifndef SHMEMU_PRELOAD_ASK_I_H
#define SHMEMU_PRELOAD_ASK_I_H

#include <stdbool.h>

#include "base/wire.h"
#include "preload/pool.h"

enum { ASK_LAST = 1 };

struct question {
	/* Puts it over a connection: 0 when an answer came; ASK_LAST when one came and the
	 * connection has served its time; or -errno as client_ask. */
	int (*put)(const struct question *question, struct line line);
	/* The answer's descriptor found no number: what the answer tells of goes. NULL: nothing. */
	void (*undo)(const struct question *question, int sock);
	void *what; /* the asker's own */
	/* A free descriptor number must be there before anything is changed for a file that could
	 * not be handed over. */
	bool needs_number;
	bool may_wait;
	bool is_favour; /* the asker can do without: no line in the log */
	const struct wire_header *header; /* the answer's, for -EPROTONOSUPPORT */
};

/* Returns 0 when an answer came, or, as ask(), when none did, with a line in the log. */
int ask_question(const struct question *question);

/* As that, for what wire_ipc.h has: where no daemon is to be used the host has no IPC, so -ENOSYS
 * for -EACCES too. */
int ask_question_ipc(const struct question *question);

#endif
