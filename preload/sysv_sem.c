/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* semget, semop, semtimedop, semctl. In the order of the kernel's checks; what is not to be known
 * here is the daemon's word. */
#include <limits.h>
#include <stdarg.h>
#include <string.h>

#include "base/semwords.h"
#include "base/sys.h"
#include "preload/emu_ipc.h"
#include "preload/export.h"
#include "preload/points.h"
#include "preload/shared.h"
#include "preload/sysv.h"

enum {
	SECOND_NS = 1000 * 1000 * 1000,
	LOOK_AT_ONCE = 64, /* operations */
	OPERATIONS_SURE = 500, /* Linux's SEMOPM: more are too many, unless the host has set more */
	SEMINFO_SEMOPM = 5,
	INDEX_MASK = 0x7fff,
	VALUE_MAX = 32767,
};

_Static_assert(sizeof(struct seminfo) == 10 * sizeof(int), "ten of wire_ipc_info's fields");

long emu_semget(key_t key, int count, int flags)
{
	return count < 0 ? -EINVAL : sysv_get(WIRE_SEM, key, (uint64_t)count, flags);
}

/* What is too much is said before the operations are looked at: there may be fewer. */
static int judge_count(size_t count)
{
	struct wire_ipc_info info;
	long result;

	if (count < 1)
		return -EINVAL;
	if (count <= OPERATIONS_SURE)
		return 0;
	if (count > WIRE_BYTES_MAX / sizeof(struct sembuf))
		return -E2BIG;
	result = sysv_info(WIRE_SEM, IPC_INFO, &info);
	if (result < 0)
		return (int)result;
	return count > info.field[SEMINFO_SEMOPM] ? -E2BIG : 0;
}

/* *ret_quick: we could do them if we shared the set. */
static int look_through(const struct sembuf *operations, size_t count, bool *ret_undo,
                        bool *ret_quick)
{
	struct sembuf some[LOOK_AT_ONCE];

	*ret_undo = false;
	*ret_quick = false;
	for (size_t at = 0; at < count; at += LOOK_AT_ONCE) {
		size_t now = count - at < LOOK_AT_ONCE ? count - at : LOOK_AT_ONCE;

		if (sysv_take(some, operations + at, now * sizeof *some) < 0)
			return -EFAULT;
		for (size_t i = 0; i < now; i++)
			*ret_undo = *ret_undo || (some[i].sem_flg & SEM_UNDO);
		*ret_quick = count <= SHARED_OPERATIONS_MAX && semwords_can(some, count);
	}
	return 0;
}

/* The kernel's clock starts when the call is made, and stops at the end of time. */
static int64_t deadline_after(const struct timespec *timeout)
{
	struct timespec now;
	int64_t sum;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (__builtin_mul_overflow(timeout->tv_sec, SECOND_NS, &sum) ||
	    __builtin_add_overflow(sum, timeout->tv_nsec, &sum) ||
	    __builtin_add_overflow(sum, (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec, &sum))
		return WIRE_NO_DEADLINE;
	return sum;
}

static bool is_valid(const struct timespec *time)
{
	return time->tv_sec >= 0 && time->tv_nsec >= 0 && time->tv_nsec < SECOND_NS;
}

/* Of a set that we share: 0 or -errno, or SHARED_ASK. */
static int operate_quickly(int id, const struct sembuf *operations, size_t count,
                           const struct timespec *timeout)
{
	if (count < 1 || count > SHARED_OPERATIONS_MAX || timeout || id < 0)
		return SHARED_ASK;
	return shared_semop(id, operations, count);
}

static long operate(int id, const struct sembuf *operations, size_t count,
                    const struct timespec *timeout)
{
	struct client_ipc call = client_ipc_make(WIRE_SEM_OP);
	struct shared_key key = {WIRE_SEM, (uint64_t)id, NULL};
	struct timespec time = {0};
	bool undo = false;
	bool quick = false;
	int result;

	/* As the kernel has it. */
	count = (unsigned)count;
	result = operate_quickly(id, operations, count, timeout);
	if (result != SHARED_ASK)
		return result;
	result = timeout ? sysv_take(&time, timeout, sizeof time) : 0;
	if (result == 0)
		result = judge_count(count);
	if (result == 0)
		result = look_through(operations, count, &undo, &quick);
	if (result == 0 && (id < 0 || (timeout && !is_valid(&time))))
		result = -EINVAL;
	if (result < 0)
		return result;
	call.asked.id = id;
	if (timeout)
		call.asked.deadline = deadline_after(&time);
	call.bytes = operations;
	call.asked.length = (uint32_t)(count * sizeof *operations);
	if (undo)
		return ask_ipc_present(&call, CLIENT_NEVER_RESUME, false);
	result = ask_ipc(&call, CLIENT_NEVER_RESUME, false);
	if (result >= 0 && quick)
		shared_note(&key);
	return result;
}

long emu_semtimedop(int id, struct sembuf *operations, size_t count, const struct timespec *timeout)
{
	long result;

	points_tell();
	result = operate(id, operations, count, timeout);
	points_hear();
	return result;
}

static long get_stat(int id, int command, struct semid_ds *buffer)
{
	struct wire_ipc_stat stat;
	struct semid_ds set;
	long result = sysv_stat(WIRE_SEM, id, command, &stat);

	if (result < 0)
		return result;
	memset(&set, 0, sizeof set);
	set.sem_perm = sysv_perm(&stat);
	set.sem_otime = stat.time[0];
	set.sem_ctime = stat.time[2];
	set.sem_nsems = stat.size;
	return sysv_put(buffer, &set, sizeof set) < 0 ? -EFAULT : result;
}

static long get_info(int command, struct seminfo *buffer)
{
	struct wire_ipc_info info;
	int fields[sizeof *buffer / sizeof(int)];
	long result = sysv_info(WIRE_SEM, command, &info);

	if (result < 0)
		return result;
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		fields[i] = (int)info.field[i];
	return sysv_put(buffer, fields, sizeof fields) < 0 ? -EFAULT : result;
}

static long set_owner(int id, const struct semid_ds *buffer)
{
	struct semid_ds set;

	if (sysv_take(&set, buffer, sizeof set) < 0)
		return -EFAULT;
	return sysv_set(WIRE_SEM, id, &set.sem_perm, 0);
}

/* How many numbers GETALL and SETALL have, by what needs no permission. 0: there is no such set,
 * and what is wrong with it the daemon tells. */
static size_t count_of(int id)
{
	struct wire_ipc_stat stat;
	long result = sysv_stat(WIRE_SEM, id & INDEX_MASK, SEM_STAT_ANY, &stat);

	if (result < 0 || stat.id != id || stat.size > WIRE_BYTES_MAX / sizeof(unsigned short))
		return 0;
	return stat.size;
}

static long set_all(int id, const unsigned short *values)
{
	struct client_ipc call = sysv_control(WIRE_SEM, id, SETALL);

	call.bytes = values;
	call.asked.length = (uint32_t)(count_of(id) * sizeof *values);
	return ask_ipc(&call, CLIENT_PATIENT, false);
}

static long get_all(int id, unsigned short *values)
{
	struct client_ipc call = sysv_control(WIRE_SEM, id, GETALL);

	/* The kernel says that there is no memory; NULL says that nothing is wanted. */
	call.text = values ? values : (void *)(uintptr_t)1;
	call.text_room = count_of(id) * sizeof *values;
	return ask_ipc(&call, CLIENT_PATIENT, false);
}

static long control_one(int id, int number, int command, int value)
{
	struct client_ipc call = sysv_control(WIRE_SEM, id, command);

	if (command == SETVAL && (value < 0 || value > VALUE_MAX))
		return -ERANGE;
	call.asked.number = number;
	call.asked.value = value;
	return ask_ipc(&call, CLIENT_PATIENT, false);
}

static long control(int id, int number, int command, unsigned long argument)
{
	void *place = (void *)argument;

	if (id < 0)
		return -EINVAL;
	switch (command) {
	case IPC_STAT: case SEM_STAT: case SEM_STAT_ANY:
		return get_stat(id, command, place);
	case IPC_INFO: case SEM_INFO:
		return get_info(command, place);
	case IPC_SET:
		return set_owner(id, place);
	case GETALL:
		return get_all(id, place);
	case SETALL:
		return set_all(id, place);
	case SETVAL:
		return control_one(id, number, command, (int)argument);
	case GETVAL: case GETPID: case GETNCNT: case GETZCNT: case IPC_RMID:
		return control_one(id, number, command, 0);
	default:
		return -EINVAL;
	}
}

/* A value that is set, or read, may be all that processes have between them. */
long emu_semctl(int id, int number, int command, unsigned long argument)
{
	long result;

	points_tell();
	result = control(id, number, command, argument);
	points_hear();
	return result;
}

static long traced(const char *call, long id, long result)
{
	trace_address(call, (void *)id, (int)result);
	return export_long(result);
}

EXPORT int semget(key_t key, int count, int flags)
{
	return (int)traced("semget", key, emu_semget(key, count, flags));
}

EXPORT int semop(int id, struct sembuf *operations, size_t count)
{
	return (int)traced("semop", id, emu_semtimedop(id, operations, count, NULL));
}

EXPORT int semtimedop(int id, struct sembuf *operations, size_t count,
                      const struct timespec *timeout)
{
	return (int)traced("semtimedop", id, emu_semtimedop(id, operations, count, timeout));
}

/* Passed as a union semun; in a register as an unsigned long is. */
static bool has_argument(int command)
{
	switch (command) {
	case SETVAL: case GETALL: case SETALL: case IPC_STAT: case IPC_SET: case SEM_STAT:
	case SEM_STAT_ANY: case IPC_INFO: case SEM_INFO:
		return true;
	default:
		return false;
	}
}

EXPORT int semctl(int id, int number, int command, ...)
{
	unsigned long argument = 0;

	if (has_argument(command)) {
		va_list more;

		va_start(more, command);
		argument = va_arg(more, unsigned long);
		va_end(more);
	}
	return (int)traced("semctl", id, emu_semctl(id, number, command, argument));
}
