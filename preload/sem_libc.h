/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose sem_t a file holds: glibc's and musl's have the same size and another way to wait, so that
 * a program of the one is not let into a semaphore of the other's. */
#ifndef SHMEMU_PRELOAD_SEM_LIBC_H
#define SHMEMU_PRELOAD_SEM_LIBC_H

#include <semaphore.h>
#include <stdbool.h>

/* Both use the first words only. musl's for what is shared is what glibc's is for what is not, or
 * for a file of zeros: so the last word says musl. */
enum {
	SEM_LIBC_SHARED_WORD = 2,
	SEM_LIBC_GLIBC_SHARED = 128,
	SEM_LIBC_MARK_WORD = 7,
	SEM_LIBC_MUSL_MARK = 0x6c73756d,
};

/* Makes an image that sem_init has filled in known as this libc's. */
void sem_libc_mark(sem_t *image);

bool sem_libc_is_other(const sem_t *sem);

#endif
