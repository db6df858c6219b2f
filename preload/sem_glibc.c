/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>

#include "preload/sem_libc.h"

/* A semaphore of glibc's says itself what it is. */
void sem_libc_mark(sem_t *image)
{
}

/* Of 32 bits it has no such word, and no musl that we are built for. */
bool sem_libc_is_other(const sem_t *sem)
{
	const int *words = (const int *)sem;

	return sizeof *sem > SEM_LIBC_MARK_WORD * sizeof *words &&
	       words[SEM_LIBC_MARK_WORD] == SEM_LIBC_MUSL_MARK;
}
