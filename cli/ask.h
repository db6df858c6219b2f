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
/* The same, and tells which folder it is. */
int ask_connect_at(const char *folder, struct text *ret_path);

/* The same, but returns -errno: -ENOENT or -ECONNREFUSED where there is none, -EACCES where its
 * folder is not to be trusted. *ret_path is filled in always: the daemon's folder, or the last that
 * was looked into. */
int ask_try_connect(const char *folder, struct text *ret_path);

/* Ends the program with one line: the daemon does not answer. `result` is the -errno of it. */
_Noreturn void ask_fail(int result);

/* Its counters. Returns 0 or -errno. */
int ask_try_status(int sock, struct wire_status *ret_status);

/* The same, but ends the program with one line when it does not answer. */
struct wire_status ask_status(int sock);

/* How much there is and is left: for who asks, or with WIRE_ROOM_ALL for all. 0 or -errno. */
int ask_try_room(int sock, uint32_t flags, struct wire_room *ret_room);

/* Of the first user from number `from` on who has a share: 1, 0: there is none, or -errno. */
int ask_try_share(int sock, uint64_t from, struct wire_share *ret_share);

/* Which roads lead to the daemon; `path` is where it is mounted, if it is: WIRE_TEXT_MAX + 1 bytes
 * have room for any. 0 or -errno. */
int ask_try_roads(int sock, struct wire_roads *ret_roads, char *path, size_t room);

/* Changes a limit (WIRE_LIMIT_...), or with `what` 0 none, and tells what they are. Returns 0 or
 * -errno, as the daemon has it, or -EPROTONOSUPPORT when that is too old. */
int ask_try_limits(int sock, uint32_t what, uint64_t value, struct wire_limits *ret_limits);

/* The same, but ends the program with one line when it is too old. */
int ask_limits(int sock, uint32_t what, uint64_t value, struct wire_limits *ret_limits);

#endif
