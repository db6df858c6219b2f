/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For probes of System V IPC and message queues: each group of questions is asked in a child of
 * its own. Every line is of a class, so that it may be another one in some world
 * (tests/conform/differences.c). FAMILY is defined before this is included. */
#ifndef SHMEMU_TESTS_PROBES_IPC_H
#define SHMEMU_TESTS_PROBES_IPC_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "tests/probes/probe.h"

#define tell(what, format, ...) say("{" FAMILY ": " what "} " format, __VA_ARGS__)
#define ask(what, call) tell(what, "%s", outcome((long)(call)))
/* The result itself, or the errno. */
#define ask_value(what, call) tell(what, "%s", ipc_value((long)(call)))
/* What is true or false. */
#define ask_whether(what, condition) tell(what, "%s", (condition) ? "yes" : "no")

/* A 32-bit libc reads and writes the structs itself, whose times it makes longer for the kernel: a
 * bad pointer is a SIGSEGV there. */
#define IPC_LIBC_READS (sizeof(long) < 8)

struct ipc_group {
	const char *name;
	void (*body)(void);
};

/* Asks each group, or the one that the probe's first argument names; they end with one that has no
 * name. */
void ipc_run(const struct ipc_group *groups);

/* The number, or errno's name. Not to be kept: one of eight. */
const char *ipc_value(long result);

/* Runs `body` in a forked child, which is not waited for. */
pid_t ipc_beside(void (*body)(void *), void *argument);
/* Returns when that process (or thread, by its number) sleeps in a call for good, or has ended. */
void ipc_await_asleep(pid_t pid);
void ipc_await_nap(pid_t pid); /* a moment: for one that is asked many times */
/* Waits for the end of a child that exits with an errno: "ok", its name, or what the status is. */
const char *ipc_end_of(pid_t pid);
/* Kills it and waits for its end. */
void ipc_kill(pid_t pid);
void ipc_pause(long milliseconds);
/* A word to another process, and from it. */
void ipc_nudge(int fd);
void ipc_hear(int fd);

/* A handler that does nothing but count. */
void ipc_handle(int number, int flags);
extern volatile sig_atomic_t ipc_handled;

/* So many milliseconds from now; for semtimedop use only the difference. */
struct timespec ipc_in(clockid_t clock, long milliseconds);
/* Milliseconds of CLOCK_MONOTONIC. */
long ipc_now(void);
/* Is it a time of the last minute? */
bool ipc_is_recent(time_t seconds);
/* Waits for the next second, so that times can be told apart. */
void ipc_next_second(void);

/* For good; needs root. */
void ipc_become(uid_t uid);

#endif
