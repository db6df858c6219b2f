/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where traced processes send their records. */
#ifndef SHMEMU_CLI_RECEIVE_H
#define SHMEMU_CLI_RECEIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/traced.h"

struct receiver {
	int sock; /* owned */
	uint64_t key;
	char setting[128]; /* for TRACED_VARIABLE of COMMAND */
};

/* Ends the program with one line on failure. */
void receive_open(struct receiver *ret_receiver, bool shows_all);

/* The next record that has our key, in room for TRACED_SIZE_MAX bytes. Returns its size, or 0:
 * there is none now. */
size_t receive_next(const struct receiver *receiver, struct traced_record *ret_record);

#endif
