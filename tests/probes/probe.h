/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the probes share. A probe asks libc questions and prints the answers, one line each: the
 * same program runs on the kernel's own shared memory and on ours, and the lines must be equal.
 * What must hold anywhere it checks itself. Exit status: 0, 1 (something did not hold), 77
 * (skipped, with a line "SKIP: reason"). */
#ifndef SHMEMU_TESTS_PROBES_PROBE_H
#define SHMEMU_TESTS_PROBES_PROBE_H

#include <stdbool.h>
#include <sys/types.h>

enum { PROBE_SKIP = 77, PROBE_SIGNAL = 1000, NOBODY = 65534 };

/* Runs `body` in a child, so that the answers are told whatever becomes of it, and returns the
 * exit status for main. argv is kept for probe_argument. */
int probe_run(int argc, char **argv, void (*body)(void));

/* The probe's n-th argument, or "". */
const char *probe_argument(int n);

/* Adds a line to the transcript: from any process and thread of the probe, whatever descriptors
 * it has left. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Something that must hold whatever the answers are. */
#define must(condition) must_hold((condition), __FILE__, __LINE__, #condition)
void must_hold(bool holds, const char *file, int line, const char *text);

/* Ends the probe: exit status 77. */
_Noreturn void skip(const char *reason);

/* "ok" for a result >= 0, else errno's name. */
const char *outcome(long result);

/* Runs `body` in a child process and returns its exit status, PROBE_SIGNAL + the signal that
 * ended it, or -1 when there was no child. */
int in_child(void (*body)(void *), void *argument);
int await_child(pid_t pid);

/* shm_open, outcome, close. */
const char *try_open(const char *name, int flags, mode_t mode);

/* A file of that size under a name which it did not have before; dies if it can't. */
int make_segment(const char *name, mode_t mode, off_t size);

/* Memory that children share with their parent. */
void *shared_memory(size_t size);

#endif
