/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* COMMAND as a child of the tool's, which ends as that does. */
#ifndef SHMEMU_CLI_CHILD_H
#define SHMEMU_CLI_CHILD_H

#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/types.h>

struct child {
	pid_t pid;
	int signal; /* that ended it; 0: none */
	int status; /* to exit with, otherwise */
};

/* Starts it; `prepare` is called in it before it executes. Returns 0, or, having said why, -EIO. */
int child_start(struct child *child, char **argv, void (*prepare)(void *context), void *context);

/* Buries children, and stops when COMMAND is stopped. Returns true when COMMAND is among the dead.
 * `note`, if it is not NULL, is told of each. */
bool child_reap(struct child *child, void (*note)(void *context, pid_t pid), void *context);

/* Passes a signal that the tool got on to COMMAND, if it is meant for that. */
void child_forward(const struct child *child, const struct signalfd_siginfo *info);

/* Returns the status to exit with, or ends this process as a signal has ended COMMAND. */
int child_end(const struct child *child);

#endif
