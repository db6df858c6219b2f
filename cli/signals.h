/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tool's signals: all blocked, and read one by one. */
#ifndef SHMEMU_CLI_SIGNALS_H
#define SHMEMU_CLI_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/types.h>

struct signals {
	int fd; /* owned; readable when a signal is there */
	sigset_t mask_before;
	struct sigaction child_before;
};

/* Ends the program with one line on failure. */
void signals_take(struct signals *ret_signals);

/* For a child, before it executes COMMAND: as the caller of the tool had them. */
void signals_restore(const struct signals *signals);

/* Waits for the next signal for at most `milliseconds` (-1: without end). Returns false when
 * none came. */
bool signals_next(const struct signals *signals, int milliseconds,
                  struct signalfd_siginfo *ret_info);

/* The same up to a moment, which signals_deadline gives. */
bool signals_next_before(const struct signals *signals, long long deadline,
                         struct signalfd_siginfo *ret_info);
long long signals_deadline(int seconds);

/* Does this signal mean COMMAND, process `command`, and did it not get it already? */
bool signals_is_to_forward(const struct signalfd_siginfo *info, pid_t command);

/* Is it one that would have ended a program that does not care for signals? */
bool signals_is_ending(const struct signalfd_siginfo *info);

/* Stops this process, as the signal stopped COMMAND; returns when it is continued. */
void signals_stop_by(int signal);

/* Ends this process as the signal ended COMMAND, but without a core of its own. */
_Noreturn void signals_die_by(int signal);

#endif
