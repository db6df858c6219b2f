/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way to the tool. */
#ifndef SHMEMU_TRACE_CHANNEL_H
#define SHMEMU_TRACE_CHANNEL_H

#include <stdbool.h>
#include <sys/uio.h>

#include "base/traced.h"

struct channel_config {
	bool is_on;
	bool shows_all;
};

/* Never fails: without a tool it is off. What the environment said when this was first asked holds:
 * a program may change that, or clear it. */
struct channel_config channel_config(void);

/* Sends a record, of which key, version, pid and tid are filled in here, with the bytes that
 * `parts` has behind its first, which is the record's. Leaves errno as it was. What the tool does
 * not take in time is counted, and told with the next. */
void channel_send(struct traced_record *record, struct iovec *parts, size_t count);

/* The process ends, or becomes another program: there will be no next record to tell it with. */
void channel_end(void);

#endif
