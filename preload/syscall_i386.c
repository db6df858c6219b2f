/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The 32-bit kernel has System V IPC twice: by ipc(2), and since Linux 5.1 by calls of their own;
 * and what takes a time once more for a 64-bit one. */
#include <stdint.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ipc.h>

#include "base/sys.h"
#include "preload/sysv.h"
#include "preload/syscall_i.h"

/* ipc(2)'s first argument: linux/ipc.h, which can't be had beside sys/ipc.h. */
enum {
	CALL_SEMOP = 1, CALL_SEMGET, CALL_SEMCTL, CALL_SEMTIMEDOP,
	CALL_MSGSND = 11, CALL_MSGRCV, CALL_MSGGET, CALL_MSGCTL,
	CALL_SHMAT = 21, CALL_SHMDT, CALL_SHMGET, CALL_SHMCTL,
	STRUCTS_64 = 0x100, /* in a command: structs are those of today */
};

struct time64 {
	int64_t seconds;
	int64_t nanoseconds;
};

/* What is no time any more is one that never comes, or is as wrong as it was. */
static void take_time(struct syscall_asked *asked, int argument)
{
	struct time64 time;
	long *at = &asked->arguments[argument];

	if (!*at || sysv_take(&time, (const void *)*at, sizeof time) < 0)
		return;
	asked->time.tv_sec = time.seconds > INT32_MAX ? INT32_MAX :
	                     time.seconds < 0 ? -1 : (time_t)time.seconds;
	asked->time.tv_nsec = (long)time.nanoseconds;
	*at = (long)&asked->time;
}

static void set(struct syscall_asked *asked, long number, long a, long b, long c, long d, long e)
{
	const long arguments[] = {a, b, c, d, e, 0};

	asked->number = number;
	memcpy(asked->arguments, arguments, sizeof arguments);
}

/* Of which the structs are of yesterday goes to the kernel. */
static void take_ipc(struct syscall_asked *asked)
{
	const long *a = asked->arguments;
	long call = a[0], first = a[1], second = a[2], third = a[3], pointer = a[4], fifth = a[5];
	bool is_old = !(third & STRUCTS_64);

	switch (call) {
	case CALL_SEMOP: set(asked, SYS_semop, first, pointer, second, 0, 0); break;
	case CALL_SEMTIMEDOP: set(asked, SYS_semtimedop, first, pointer, second, fifth, 0); break;
	case CALL_SEMGET: set(asked, SYS_semget, first, second, third, 0, 0); break;
	case CALL_SEMCTL:
		if (!is_old)
			set(asked, SYS_semctl, first, second, third & ~STRUCTS_64,
			    pointer ? *(const long *)pointer : 0, 0);
		break;
	case CALL_MSGSND: set(asked, SYS_msgsnd, first, pointer, second, third, 0); break;
	case CALL_MSGGET: set(asked, SYS_msgget, first, second, 0, 0, 0); break;
	case CALL_MSGCTL:
		if (second & STRUCTS_64)
			set(asked, SYS_msgctl, first, second & ~STRUCTS_64, pointer, 0, 0);
		break;
	case CALL_SHMDT: set(asked, SYS_shmdt, pointer, 0, 0, 0, 0); break;
	case CALL_SHMGET: set(asked, SYS_shmget, first, second, third, 0, 0); break;
	case CALL_SHMCTL:
		if (second & STRUCTS_64)
			set(asked, SYS_shmctl, first, second & ~STRUCTS_64, pointer, 0, 0);
		break;
	default: break;
	}
}

void syscall_unify(struct syscall_asked *asked)
{
	switch (asked->number) {
	case SYS_ipc:
		take_ipc(asked);
		break;
	case SYS_semtimedop_time64:
		asked->number = SYS_semtimedop;
		take_time(asked, 3);
		break;
	case SYS_mq_timedsend_time64:
		asked->number = SYS_mq_timedsend;
		take_time(asked, 4);
		break;
	case SYS_mq_timedreceive_time64:
		asked->number = SYS_mq_timedreceive;
		take_time(asked, 4);
		break;
	default:
		break;
	}
}
