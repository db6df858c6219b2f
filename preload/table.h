/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The named semaphores that this process has open: one mapping each, however often opened. */
#ifndef SHMEMU_PRELOAD_TABLE_H
#define SHMEMU_PRELOAD_TABLE_H

#include <semaphore.h>
#include <sys/stat.h>

/* Maps the semaphore in the file `fd` (borrowed), or finds the mapping that is there: the same
 * file has the same address as long as it is open (POSIX sem_open). Counts one opening. `status` is
 * what fstat(2) says of the file, or NULL. Returns 0 or -errno: -EINVAL for a file that is no
 * semaphore, -EMEDIUMTYPE for one of another libc's (sem_libc.h). */
int table_open(int fd, const struct stat *status, sem_t **ret_sem);

/* Counts one opening less and unmaps after the last. Returns 0, or -EINVAL for what table_open
 * never returned. */
int table_close(sem_t *sem);

#endif
