/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For a child process that is to run a program: what the host is to it. What can't be done it dies
 * of. */
#ifndef SHMEMU_TESTS_HOST_H
#define SHMEMU_TESTS_HOST_H

#include <stdbool.h>
#include <sys/types.h>

/* Ends the process, with what errno says of `what`, unless it is done. */
void insist(bool done, const char *what);

/* Mounts that nobody else sees. */
void own_mounts(void);

/* Becomes a user with a group of the same number and no others. */
void become_user(uid_t uid);

/* A /dev/shm of its own that is the kernel's, and IPC of its own, for the user that it becomes. */
void enter_native(uid_t uid);

#endif
