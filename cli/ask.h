/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon that this user's programs meet. */
#ifndef SHMEMU_CLI_ASK_H
#define SHMEMU_CLI_ASK_H

#include "base/text.h"
#include "base/wire.h"

/* Connects to the daemon of `folder`, or, if that is NULL, to the one that a program with the
 * library would find. Returns a socket owned by the caller. Where there is none, ends the program
 * with one line. */
int ask_connect(const char *folder);

/* The same, but returns -errno: -ENOENT or -ECONNREFUSED where there is none, -EACCES where its
 * folder is not to be trusted. *ret_path is filled in always: the daemon's folder, or the last that
 * was looked into. */
int ask_try_connect(const char *folder, struct text *ret_path);

/* The daemon's counters. Ends the program with one line when it does not answer. */
struct wire_status ask_status(int sock);

/* Changes a limit (WIRE_LIMIT_...), or with `what` 0 none, and tells what they are. Returns 0 or
 * -errno, as the daemon has it. Ends the program with one line when that is too old. */
int ask_limits(int sock, uint32_t what, uint64_t value, struct wire_limits *ret_limits);

#endif
