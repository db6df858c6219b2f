/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* syscall(2) of System V IPC, message queues and memfd_create: some libraries have no other way to
 * them. All else goes to the kernel as it came, and here, for this may be called before libc's is
 * found. Like libc's it is no cancellation point, but for those of ours that wait. */
#include <stdarg.h>
#include <stdbool.h>

#include "base/sys.h"
#include "preload/emu_ipc.h"
#include "preload/export.h"
#include "preload/syscall_i.h"

enum { ARGUMENTS = 6 };

static bool is_ours(long number)
{
	switch (number) {
	case SYS_shmget: case SYS_shmat: case SYS_shmdt: case SYS_shmctl:
	case SYS_semget: case SYS_semop: case SYS_semtimedop: case SYS_semctl:
	case SYS_msgget: case SYS_msgsnd: case SYS_msgrcv: case SYS_msgctl:
	case SYS_mq_open: case SYS_mq_unlink: case SYS_mq_timedsend: case SYS_mq_timedreceive:
	case SYS_mq_notify: case SYS_mq_getsetattr:
	case SYS_memfd_create: case SYS_remap_file_pages:
		return true;
	default:
		return false;
	}
}

/* What the kernel takes for an int, and for a pointer. */
#define INT(i) ((int)a[i])
#define POINTER(i) ((void *)a[i])

static long call_sysv(long number, const long a[static ARGUMENTS])
{
	switch (number) {
	case SYS_shmget:
		return emu_shmget(INT(0), (size_t)a[1], INT(2));
	case SYS_shmat:
		return emu_shmat(INT(0), POINTER(1), INT(2));
	case SYS_shmdt:
		return emu_shmdt(POINTER(0));
	case SYS_shmctl:
		return emu_shmctl(INT(0), INT(1), POINTER(2));
	case SYS_semget:
		return emu_semget(INT(0), INT(1), INT(2));
	case SYS_semop:
		return emu_semtimedop(INT(0), POINTER(1), (unsigned)a[2], NULL);
	case SYS_semtimedop:
		return emu_semtimedop(INT(0), POINTER(1), (unsigned)a[2], POINTER(3));
	case SYS_semctl:
		return emu_semctl(INT(0), INT(1), INT(2), (unsigned long)a[3]);
	case SYS_msgget:
		return emu_msgget(INT(0), INT(1));
	case SYS_msgsnd:
		return emu_msgsnd(INT(0), POINTER(1), (size_t)a[2], INT(3));
	case SYS_msgrcv:
		return emu_msgrcv(INT(0), POINTER(1), (size_t)a[2], a[3], INT(4));
	default:
		return emu_msgctl(INT(0), INT(1), POINTER(2));
	}
}

static long call(long number, const long a[static ARGUMENTS])
{
	switch (number) {
	case SYS_mq_open:
		return emu_mq_open(POINTER(0), INT(1), (mode_t)a[2], POINTER(3));
	case SYS_mq_unlink:
		return emu_mq_unlink(POINTER(0));
	case SYS_mq_timedsend:
		return emu_mq_timedsend(INT(0), POINTER(1), (size_t)a[2], (unsigned)a[3],
		                        POINTER(4));
	case SYS_mq_timedreceive:
		return emu_mq_timedreceive(INT(0), POINTER(1), (size_t)a[2], POINTER(3),
		                           POINTER(4));
	case SYS_mq_notify:
		return emu_mq_notify(INT(0), POINTER(1));
	case SYS_mq_getsetattr:
		return emu_mq_getsetattr(INT(0), POINTER(1), POINTER(2));
	case SYS_memfd_create:
		return emu_memfd_create(POINTER(0), (unsigned)a[1]);
	case SYS_remap_file_pages:
		return emu_remap_file_pages(POINTER(0), (size_t)a[1], INT(2), (size_t)a[3], INT(4));
	default:
		return call_sysv(number, a);
	}
}

/* Of arguments that were not given what is read is whatever the registers and the stack have. */
EXPORT long syscall(long number, ...)
{
	struct syscall_asked asked = {.number = number};
	long *a = asked.arguments;
	va_list rest;
	long result;

	va_start(rest, number);
	for (int i = 0; i < ARGUMENTS; i++)
		a[i] = va_arg(rest, long);
	va_end(rest);
	syscall_unify(&asked);
	result = is_ours(asked.number) ? call(asked.number, a) :
	                                 sys_call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	return sys_is_error((void *)result) ? export_long(result) : result;
}
