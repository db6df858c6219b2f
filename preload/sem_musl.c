/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/sem_libc.h"

_Static_assert(sizeof(sem_t) > SEM_LIBC_MARK_WORD * sizeof(int), "there is room for the mark");

void sem_libc_mark(sem_t *image)
{
	((int *)image)[SEM_LIBC_MARK_WORD] = SEM_LIBC_MUSL_MARK;
}

bool sem_libc_is_other(const sem_t *sem)
{
	return ((const int *)sem)[SEM_LIBC_SHARED_WORD] == SEM_LIBC_GLIBC_SHARED;
}
