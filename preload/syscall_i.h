/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* syscall(2)'s arguments, and what differs in them from machine to machine. */
#ifndef SHMEMU_PRELOAD_SYSCALL_I_H
#define SHMEMU_PRELOAD_SYSCALL_I_H

#include <sys/syscall.h>
#include <time.h>

/* The 32-bit kernel has them by semtimedop_time64 alone, or by ipc(2). */
#ifndef SYS_semop
enum { SYS_semop = -1000, SYS_semtimedop };
#endif

struct syscall_asked {
	long number;
	long arguments[6];
	struct timespec time; /* for an argument to point to */
};

/* One call's second number becomes its first, with what that takes. */
void syscall_unify(struct syscall_asked *asked);

#endif
