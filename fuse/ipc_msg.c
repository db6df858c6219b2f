/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Message queues of System V: after Linux's ipc/msg.c, error by error and check by check. */
#include "fuse/ipc_i.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>

#include "fuse/judge.h"
#include "fuse/peer.h"

/* linux/msg.h: what nobody uses, and all are told. */
enum { POOL = 512000, MAP = 16384, SEGMENT_SIZE = 16, HEADERS = 16384, SEGMENTS = 0xffff };

enum { SWEPT = 64 };

/* To the kernel all that can't be had is memory. */
static int64_t as_memory(int64_t result)
{
	return result == -ENOSPC ? -ENOMEM : result;
}

static struct queue_stamp stamp_of(const struct ipc_call *call)
{
	return (struct queue_stamp){(uint32_t)call->peer->pid, ipc_now()};
}

static int make_queue(struct ipc *ipc, struct ipc_call *call)
{
	const struct ipc_object *object;
	int64_t body;
	int result = ipc_add(ipc, call, WIRE_MSG, call->asked->id, call->asked->flags,
	                     ipc->limits.msgmni, &object);

	if (result < 0)
		return result;
	/* Messages are judged by msgmax as they come, as it may be another by then. */
	body = as_memory(queue_new(&ipc->arena, QUEUE_SYSV, ipc->limits.msgmnb, 0, UINT64_MAX));
	if (body < 0)
		return (int)body;
	ARENA_SET(&ipc->arena, object->body, (uint64_t)body);
	return object->id;
}

int ipc_msg_get(struct ipc *ipc, struct ipc_call *call)
{
	return ipc_get(ipc, call, WIRE_MSG, make_queue, NULL);
}

/* MSG_INFO counts, IPC_INFO tells of limits only; both return the highest index in use. */
static int tell_info(struct ipc *ipc, struct ipc_call *call)
{
	const struct ipc_object *object = NULL;
	struct wire_ipc_info info = {.field = {POOL, MAP, ipc->limits.msgmax, ipc->limits.msgmnb,
	                                       ipc->limits.msgmni, SEGMENT_SIZE, HEADERS,
	                                       SEGMENTS}};
	uint64_t queues = 0;
	uint64_t messages = 0;
	uint64_t bytes = 0;
	int highest = 0;

	while ((object = ipc_next(ipc, WIRE_MSG, object))) {
		const struct queue *queue = ipc_queue(ipc, object);
		int index = object->id & IPC_INDEX_MASK;

		highest = index > highest ? index : highest;
		queues++;
		messages += queue ? queue->count : 0;
		bytes += queue ? queue->bytes : 0;
	}
	if (call->asked->command == MSG_INFO) {
		info.field[0] = queues;
		info.field[1] = messages;
		info.field[6] = bytes;
	}
	memcpy(call->text, &info, sizeof info);
	call->told.length = sizeof info;
	return highest;
}

static int tell_status(struct ipc *ipc, struct ipc_call *call)
{
	const struct wire_ipc *asked = call->asked;
	const struct ipc_object *object;
	const struct queue *queue;
	struct wire_ipc_stat stat;
	int result = ipc_find_asked(ipc, call, WIRE_MSG, MSG_STAT_ANY, &object);

	if (result < 0)
		return result;
	queue = ipc_queue(ipc, object);
	if (!queue)
		return -EBADMSG;
	stat = ipc_describe(object);
	stat.size = queue->bytes_max;
	stat.count = queue->count;
	stat.bytes = queue->bytes;
	stat.time[0] = queue->time[0];
	stat.time[1] = queue->time[1];
	stat.pid[0] = queue->pid[0];
	stat.pid[1] = queue->pid[1];
	memcpy(call->text, &stat, sizeof stat);
	call->told.length = sizeof stat;
	return asked->command == IPC_STAT ? 0 : object->id;
}

static int set_queue(struct ipc *ipc, struct ipc_call *call, const struct ipc_object *object)
{
	const struct queue *queue = ipc_queue(ipc, object);
	struct wire_ipc_stat stat;
	int result;

	if (call->asked->length != sizeof stat)
		return -EINVAL;
	if (!queue)
		return -EBADMSG;
	memcpy(&stat, call->bytes, sizeof stat);
	if (stat.size > ipc->limits.msgmnb &&
	    !judge_has_capability(&call->peer->actor, CAP_SYS_RESOURCE))
		return -EPERM;
	result = ipc_set_owner(ipc, call, object);
	if (result < 0)
		return result;
	ARENA_SET(&ipc->arena, queue->bytes_max, stat.size);
	/* Who waits may be let in now, or no longer. */
	ipc_changed(ipc, object);
	return 0;
}

void ipc_msg_discard(struct ipc *ipc, const struct ipc_object *object)
{
	const struct queue *queue = ipc_queue(ipc, object);
	const struct queue_message *last = NULL;
	uint64_t first;

	if (!queue)
		return;
	if (queue->count)
		last = arena_at(&ipc->arena, queue->last, sizeof *last);
	queue_free(&ipc->arena, object->body, &first);
	/* Of which chain it will be the beginning. */
	if (!last)
		return;
	ARENA_SET(&ipc->arena, last->next, ipc_header(ipc)->garbage);
	ARENA_SET(&ipc->arena, ipc_header(ipc)->garbage, first);
}

bool ipc_msg_sweep(struct ipc *ipc)
{
	const struct ipc_header *header = ipc->arena.bytes ? ipc_header(ipc) : NULL;

	if (!header || !header->garbage)
		return false;
	ARENA_SET(&ipc->arena, header->garbage, queue_give(&ipc->arena, header->garbage, SWEPT));
	return true;
}

static void remove_queue(struct ipc *ipc, const struct ipc_object *object)
{
	ipc_msg_discard(ipc, object);
	ipc_remove(ipc, object);
}

int ipc_msg_control(struct ipc *ipc, struct ipc_call *call)
{
	if (call->asked->id < 0)
		return -EINVAL;
	switch (call->asked->command) {
	case IPC_INFO:
	case MSG_INFO: return tell_info(ipc, call);
	case IPC_STAT:
	case MSG_STAT:
	case MSG_STAT_ANY: return tell_status(ipc, call);
	case IPC_SET:
	case IPC_RMID: return ipc_own(ipc, call, WIRE_MSG, set_queue, remove_queue);
	default: return -EINVAL;
	}
}

static int wait_for(struct ipc_call *call, const struct ipc_object *object)
{
	call->waits_for = object->serial;
	call->blocked_on = 0;
	return IPC_WAITS;
}

int ipc_msg_send(struct ipc *ipc, struct ipc_call *call)
{
	const struct wire_ipc *asked = call->asked;
	const struct queue_stamp stamp = stamp_of(call);
	const struct ipc_object *object;
	int result;

	if (asked->length > ipc->limits.msgmax)
		ipc_limits_refresh(&ipc->limits, WIRE_MSG);
	if (asked->id < 0 || asked->length > ipc->limits.msgmax || asked->type < 1)
		return -EINVAL;
	result = ipc_find(ipc, WIRE_MSG, asked->id, &object);
	if (result == 0)
		result = ipc_allow(call, object, 0222);
	if (result < 0)
		return result;
	result = (int)as_memory(queue_send(&ipc->arena, object->body, asked->type, call->bytes,
	                                   asked->length, &stamp));
	if (result == -EAGAIN && !(asked->flags & IPC_NOWAIT))
		return wait_for(call, object);
	if (result == 0)
		ipc_changed(ipc, object);
	return result;
}

int ipc_msg_receive(struct ipc *ipc, struct ipc_call *call)
{
	const struct wire_ipc *asked = call->asked;
	const struct queue_stamp stamp = stamp_of(call);
	const struct queue_wish wish = {
		.type = asked->type,
		.flags = (int)asked->flags,
		.room = asked->size < WIRE_BYTES_MAX ? asked->size : WIRE_BYTES_MAX,
	};
	const struct ipc_object *object;
	int64_t result;

	if (asked->id < 0 || (int64_t)asked->size < 0)
		return -EINVAL;
	if ((asked->flags & MSG_COPY) &&
	    ((asked->flags & MSG_EXCEPT) || !(asked->flags & IPC_NOWAIT)))
		return -EINVAL;
	result = ipc_find(ipc, WIRE_MSG, asked->id, &object);
	if (result == 0)
		result = ipc_allow(call, object, 0444);
	if (result < 0)
		return (int)result;
	result = queue_receive(&ipc->arena, object->body, &wish, call->text, &call->told.type,
	                       &stamp);
	if (result == -EAGAIN)
		return asked->flags & IPC_NOWAIT ? -ENOMSG : wait_for(call, object);
	if (result < 0)
		return (int)result;
	call->told.length = (uint32_t)result;
	if (!(asked->flags & MSG_COPY))
		ipc_changed(ipc, object);
	return (int)result;
}
