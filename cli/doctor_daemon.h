/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* doctor: the daemon that this user's programs meet. */
#ifndef SHMEMU_CLI_DOCTOR_DAEMON_H
#define SHMEMU_CLI_DOCTOR_DAEMON_H

#include <stdbool.h>

#include "base/text.h"
#include "base/wire.h"

struct libscols_table;

struct doctor_daemon {
	struct text path; /* its folder, or where one would be started */
	int sock;         /* owned; -errno: none */
	struct wire_status status;
};

#define DOCTOR_DAEMON_NULL ((struct doctor_daemon){.path = TEXT_NULL, .sock = -1})

/* Looks for it, and tells what there is. `folder` NULL: where programs look. Returns whether it is
 * one that a program can use, or there is none. */
bool doctor_daemon_add(struct doctor_daemon *daemon, const char *folder,
                       struct libscols_table *table);

#endif
