/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The private daemon of one run. */
#ifndef SHMEMU_CLI_DAEMON_H
#define SHMEMU_CLI_DAEMON_H

#include <stdbool.h>
#include <sys/types.h>

struct folder;
struct signals;

enum { DAEMON_IDLE_SECONDS = 60 };

struct daemon {
	pid_t pid;  /* 0: ended, and reaped */
	int errors; /* owned: its standard error */
	int sock;   /* owned: a connection, by which it is not idle as long as we run */
};

#define DAEMON_NULL ((struct daemon){.errors = -1, .sock = -1})

struct daemon_plan {
	const char *program;
	const struct folder *folder;
	bool lasting;
	const char *size;  /* as shmfs's --size; NULL: any */
	const char *huge;  /* likewise --huge; NULL: its default */
	const char *mount; /* where it is to mount itself; NULL: nowhere */
	bool privileged;   /* with the capabilities that this process has now */
};

/* Starts it, and returns when it serves: 0; or, having said why, -EIO; or -EINTR when one of
 * the tool's ending signals came first, in *ret_signal. It ends with the tool, unless
 * `lasting`: then by itself, DAEMON_IDLE_SECONDS after the last client and the last name are
 * gone. */
int daemon_start(struct daemon *daemon, const struct daemon_plan *plan,
                 const struct signals *signals, int *ret_signal);

/* To be told of each child that was reaped. Says so if it was the daemon, before its time. */
void daemon_note_death(struct daemon *daemon, pid_t pid);

/* Ends it, if it has not ended, and passes on what it said on its standard error. */
void daemon_end(struct daemon *daemon, const struct signals *signals);

/* Lets it go on without the tool; removes its folder when it has ended. */
void daemon_leave(struct daemon *daemon, const struct folder *folder);

#endif
