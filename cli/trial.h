/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether the calls of System V IPC, message queues and named semaphores work: by making them.
 * What is made has no key, or has its name for a moment only, and is gone at the end. By libc's
 * functions: a shim, or the library, may be what answers. */
#ifndef SHMEMU_CLI_TRIAL_H
#define SHMEMU_CLI_TRIAL_H

#include <stddef.h>

/* In the order they are to be told. */
extern const size_t trial_count;

const char *trial_name(size_t trial);

/* By a child, since the call may be one that ends a process. Returns 0, an errno, EREMCHG (the
 * calls succeed, but do not do what they are for), or, below 0, the signal that ended the child.
 */
int trial_run(size_t trial);

/* What trial_run returned, in words. */
const char *trial_words(int result);

#endif
