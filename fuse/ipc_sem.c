/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* semget(2), semctl(2) and semop(2), in the order of Linux's ipc/sem.c: of several reasons to fail
 * the first one there is the first one here. What undoes is in ipc_sem_undo.c. */
#include <errno.h>
#include <string.h>

#include "fuse/creator.h"
#include "fuse/ipc_sem_undo.h"
#include "fuse/peer.h"

/* What no system has ever used, and IPC_INFO tells: include/uapi/linux/sem.h. */
enum { UNDO_STRUCT_SIZE = 20, UNDO_ENTRIES = 500 };

static const struct semset *set_of(struct ipc *ipc, const struct ipc_object *object)
{
	return semset_at(&ipc->arena, object->body, object->size);
}

/* Whose the set is, for people: the last to have had to do with it. */
static void note_pid(struct ipc *ipc, const struct ipc_call *call, const struct ipc_object *object)
{
	if (object->pid[0] != (uint32_t)call->peer->pid)
		ARENA_SET(&ipc->arena, object->pid[0], (uint32_t)call->peer->pid);
}

static int make(struct ipc *ipc, struct ipc_call *call)
{
	const struct ipc_object *object;
	uint64_t count = call->asked->size;
	int64_t body;
	int result;

	if (!count || count > ipc->limits.semmsl)
		return -EINVAL;
	if (ipc_header(ipc)->semaphores + count > ipc->limits.semmns)
		return -ENOSPC;
	body = semset_new(&ipc->arena, count);
	if (body < 0)
		return -ENOMEM;
	result = ipc_add(ipc, call, WIRE_SEM, call->asked->id, call->asked->flags,
	                 ipc->limits.semmni, &object);
	if (result < 0) {
		semset_free(&ipc->arena, (uint64_t)body, count);
		return result;
	}
	ARENA_SET(&ipc->arena, object->size, count);
	ARENA_SET(&ipc->arena, object->body, (uint64_t)body);
	ARENA_SET(&ipc->arena, ipc_header(ipc)->semaphores, ipc_header(ipc)->semaphores + count);
	return object->id;
}

static int fits(const struct ipc_object *object, const struct ipc_call *call)
{
	return call->asked->size > object->size ? -EINVAL : 0;
}

/* A negative number has come as a very large one. */
int ipc_sem_get(struct ipc *ipc, struct ipc_call *call)
{
	if (call->asked->size > ipc->limits.semmsl)
		ipc_limits_refresh(&ipc->limits, WIRE_SEM);
	if (call->asked->size > ipc->limits.semmsl)
		return -EINVAL;
	return ipc_get(ipc, call, WIRE_SEM, make, fits);
}

static int tell_info(struct ipc *ipc, struct ipc_call *call)
{
	const struct ipc_limits *limits = &ipc->limits;
	bool used = call->asked->command == SEM_INFO;
	struct wire_ipc_info info = {.field = {
		limits->semmns, limits->semmni, limits->semmns, limits->semmns, limits->semmsl,
		limits->semopm, UNDO_ENTRIES,
		used ? ipc_header(ipc)->used[WIRE_SEM] : UNDO_STRUCT_SIZE,
		SEMSET_VALUE_MAX,
		used ? ipc_header(ipc)->semaphores : SEMSET_ADJUST_MAX,
	}};
	int highest = 0;

	for (const struct ipc_object *object = ipc_next(ipc, WIRE_SEM, NULL); object;
	     object = ipc_next(ipc, WIRE_SEM, object))
		if ((object->id & IPC_INDEX_MASK) > highest)
			highest = object->id & IPC_INDEX_MASK;
	memcpy(call->text, &info, sizeof info);
	call->told.length = sizeof info;
	return highest;
}

static int tell_status(struct ipc *ipc, struct ipc_call *call)
{
	const struct wire_ipc *asked = call->asked;
	const struct ipc_object *object;
	const struct semset *set;
	struct wire_ipc_stat stat;
	int result = ipc_find_asked(ipc, call, WIRE_SEM, SEM_STAT_ANY, &object);

	if (result < 0)
		return result;
	set = set_of(ipc, object);
	stat = ipc_describe(object);
	stat.time[0] = set ? set->otime : 0;
	memcpy(call->text, &stat, sizeof stat);
	call->told.length = sizeof stat;
	return asked->command == IPC_STAT ? 0 : object->id;
}

/* By the operation that each is waiting at, which is at most one of its own. */
static int count_waiters(struct ipc *ipc, const struct ipc_object *object, uint32_t blocked_on)
{
	int count = 0;

	for (const struct ipc_waiter *waiter = ipc_waiter_first(ipc, object->serial); waiter;
	     waiter = ipc_waiter_after((struct ipc_waiter *)(uintptr_t)waiter, object->serial))
		count += waiter->op == WIRE_SEM_OP && waiter->blocked_on == blocked_on;
	return count;
}

static int tell_all(struct ipc_call *call, const struct semset *set, uint64_t count)
{
	unsigned short *values = call->text;

	if (count * sizeof values[0] > WIRE_BYTES_MAX)
		return -ENOMEM;
	for (uint64_t i = 0; i < count; i++)
		values[i] = (unsigned short)set->one[i].value;
	call->told.length = (uint32_t)(count * sizeof values[0]);
	return 0;
}

static int set_all(struct ipc *ipc, struct ipc_call *call, const struct ipc_object *object)
{
	const uint16_t *values = call->bytes;
	int result;

	/* Who may not read it asks so how many there are. */
	if (call->asked->length == 0)
		return (int)object->size;
	if (call->asked->length != object->size * sizeof values[0])
		return -EINVAL;
	for (uint64_t i = 0; i < object->size; i++)
		if (values[i] > SEMSET_VALUE_MAX)
			return -ERANGE;
	result = semset_set_all(&ipc->arena, object->body, object->size, values,
	                        (uint32_t)call->peer->pid);
	if (result < 0)
		return result;
	ipc_sem_undo_void_all(ipc, object);
	ARENA_SET(&ipc->arena, object->time[2], ipc_now());
	note_pid(ipc, call, object);
	ipc_changed(ipc, object);
	return 0;
}

static int look(struct ipc *ipc, struct ipc_call *call)
{
	const struct wire_ipc *asked = call->asked;
	const struct ipc_object *object;
	const struct semset *set;
	int result = ipc_find(ipc, WIRE_SEM, asked->id, &object);

	if (result == 0)
		result = ipc_allow(call, object, asked->command == SETALL ? 0222 : 0444);
	if (result < 0)
		return result;
	set = set_of(ipc, object);
	if (!set)
		return -EBADMSG;
	if (asked->command == SETALL)
		return set_all(ipc, call, object);
	if (asked->command == GETALL)
		return tell_all(call, set, object->size);
	if (asked->number < 0 || (uint64_t)asked->number >= object->size)
		return -EINVAL;
	switch (asked->command) {
	case GETVAL: return set->one[asked->number].value;
	case GETPID: return (int)set->one[asked->number].pid;
	case GETNCNT: return count_waiters(ipc, object, (uint32_t)asked->number);
	default: return count_waiters(ipc, object, (uint32_t)asked->number | IPC_BLOCKED_ON_ZERO);
	}
}

static int set_value(struct ipc *ipc, struct ipc_call *call)
{
	const struct wire_ipc *asked = call->asked;
	const struct ipc_object *object;
	int result;

	if (asked->value < 0 || asked->value > SEMSET_VALUE_MAX)
		return -ERANGE;
	result = ipc_find(ipc, WIRE_SEM, asked->id, &object);
	if (result < 0)
		return result;
	if (asked->number < 0 || (uint64_t)asked->number >= object->size)
		return -EINVAL;
	result = ipc_allow(call, object, 0222);
	if (result == 0)
		result = ipc_sem_undo_void(ipc, object, (uint16_t)asked->number);
	if (result < 0)
		return result;
	result = semset_set(&ipc->arena, object->body, object->size, (uint16_t)asked->number,
	                    asked->value, (uint32_t)call->peer->pid);
	if (result < 0)
		return result;
	ARENA_SET(&ipc->arena, object->time[2], ipc_now());
	note_pid(ipc, call, object);
	ipc_changed(ipc, object);
	return 0;
}

/* The undo values of a set that is no more go when they are next come across. */
static void remove_set(struct ipc *ipc, const struct ipc_object *object)
{
	semset_free(&ipc->arena, object->body, object->size);
	ARENA_SET(&ipc->arena, ipc_header(ipc)->semaphores,
	          ipc_header(ipc)->semaphores - object->size);
	ipc_remove(ipc, object);
}

int ipc_sem_control(struct ipc *ipc, struct ipc_call *call)
{
	if (call->asked->id < 0)
		return -EINVAL;
	switch (call->asked->command) {
	case IPC_INFO: case SEM_INFO:
		return tell_info(ipc, call);
	case IPC_STAT: case SEM_STAT: case SEM_STAT_ANY:
		return tell_status(ipc, call);
	case GETALL: case GETVAL: case GETPID: case GETNCNT: case GETZCNT: case SETALL:
		return look(ipc, call);
	case SETVAL:
		return set_value(ipc, call);
	case IPC_SET: case IPC_RMID:
		return ipc_own(ipc, call, WIRE_SEM, ipc_set_owner, remove_set);
	default:
		return -EINVAL;
	}
}

/* What an operation says of itself. */
struct operations {
	const struct sembuf *each;
	size_t count;
	uint16_t highest;
	bool alters;
	bool undoes;
};

static struct operations operations_of(const void *bytes, uint32_t length)
{
	struct operations all = {.each = bytes, .count = length / sizeof all.each[0]};

	for (size_t i = 0; i < all.count; i++) {
		if (all.each[i].sem_num > all.highest)
			all.highest = all.each[i].sem_num;
		all.alters |= all.each[i].sem_op != 0;
		all.undoes |= (all.each[i].sem_flg & SEM_UNDO) != 0;
	}
	return all;
}

bool ipc_sem_only_looks(const struct wire_ipc *asked)
{
	return !operations_of(asked + 1, asked->length).alters;
}

/* Is this another try of what waits? That was allowed when it was asked. */
static bool is_waiting(struct ipc *ipc, const struct ipc_call *call)
{
	for (struct ipc_waiter *waiter = ipc_waiter_first(ipc, 0); waiter;
	     waiter = ipc_waiter_after(waiter, 0))
		if (waiter->connection == call->connection && waiter->op == WIRE_SEM_OP)
			return true;
	return false;
}

static int find_set(struct ipc *ipc, struct ipc_call *call, const struct operations *all,
                    const struct ipc_object **ret_object)
{
	int result = ipc_find(ipc, WIRE_SEM, call->asked->id, ret_object);

	if (result < 0)
		return result;
	if (all->highest >= (*ret_object)->size)
		return -EFBIG;
	result = ipc_allow(call, *ret_object, all->alters ? 0222 : 0444);
	return result < 0 && is_waiting(ipc, call) ? 0 : result;
}

/* That its end, when it comes, is not taken from another's. */
static void note_start(struct ipc *ipc, const struct ipc_presence *presence)
{
	uint64_t start = creator_start((pid_t)presence->pid);

	ARENA_SET(&ipc->arena, presence->start, start ? start : IPC_START_UNKNOWN);
}

static int operate(struct ipc *ipc, struct ipc_call *call, const struct operations *all,
                   const struct ipc_object *object, const struct ipc_presence *presence)
{
	struct semset_block block;
	int result;

	result = semset_operate(&ipc->arena, object->body, object->size, all->each, all->count,
	                        presence ? ipc_sem_undo_of(ipc, presence, object) : NULL,
	                        (uint32_t)call->peer->pid, ipc_now(), &block);
	if (result == -EAGAIN && !block.no_wait) {
		call->waits_for = object->serial;
		call->blocked_on = block.number | (block.on_zero ? IPC_BLOCKED_ON_ZERO : 0);
		return IPC_WAITS;
	}
	if (result == 0 && presence)
		result = ipc_sem_undo_note(ipc, presence, object, all->each, all->count);
	if (result == 0 && presence && !presence->start)
		note_start(ipc, presence);
	if (result == 0)
		note_pid(ipc, call, object);
	if (result == 0 && all->alters)
		ipc_changed(ipc, object);
	return result;
}

int ipc_sem_op(struct ipc *ipc, struct ipc_call *call)
{
	const struct wire_ipc *asked = call->asked;
	struct operations all = operations_of(call->bytes, asked->length);
	const struct ipc_presence *presence = NULL;
	const struct ipc_object *object;
	int result;

	if (all.count > ipc->limits.semopm)
		ipc_limits_refresh(&ipc->limits, WIRE_SEM);
	if (all.count > ipc->limits.semopm)
		return -E2BIG;
	if (all.count < 1 || asked->length % sizeof all.each[0] || asked->id < 0)
		return -EINVAL;
	result = find_set(ipc, call, &all, &object);
	if (result == 0 && all.undoes)
		result = ipc_presence_of(ipc, &asked->presence, &presence);
	if (result == 0 && all.undoes && !presence)
		result = -ESTALE;
	return result < 0 ? result : operate(ipc, call, &all, object, presence);
}
