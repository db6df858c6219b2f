/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* POSIX message queues: after Linux's ipc/mqueue.c, whose queues are files of a sticky folder that
 * is its server's. Names have no slash here. */
#include "fuse/ipc_mq.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <unistd.h>

#include "fuse/judge.h"
#include "fuse/peer.h"
#include "fuse/proc.h"

enum {
	HARD_MSG_MAX = 65536,
	PRIORITIES = 32768,
	/* What the kernel counts for a message, and for a priority. */
	MESSAGE_COST = 48,
	PRIORITY_COST = 48,
	BYTES_DEFAULT = 819200, /* of RLIMIT_MSGQUEUE */
	FREED_MAX = 8,
};

struct shape {
	int64_t messages; /* mq_maxmsg */
	int64_t size;     /* mq_msgsize */
};

const struct ipc_object *ipc_mq_asked(const struct ipc *ipc, const struct ipc_call *call,
                                      int *ret_access)
{
	const struct wire_handle *handle = &call->asked->queue;
	const struct ipc_object *object = NULL;

	if (handle->number && handle->secret)
		object = ipc_find_serial(ipc, WIRE_MQ, handle->number);
	if (!object)
		return NULL;
	for (int access = O_RDONLY; access <= O_RDWR; access++) {
		if (handle->secret == object->secret[access]) {
			*ret_access = access;
			return object;
		}
	}
	return NULL;
}

/* The name's errors are those of a name in the folder that Linux has for queues. */
static int find_name(const struct ipc *ipc, const struct ipc_call *call,
                     const struct ipc_object **ret_object)
{
	const struct wire_request *request = call->request;
	const struct ipc_object *object = NULL;
	const char *name;

	if (!request->name_length)
		return -ENOENT;
	if (memchr(request->name, '/', request->name_length) ||
	    (request->name[0] == '.' &&
	     (request->name_length == 1 ||
	      (request->name_length == 2 && request->name[1] == '.'))))
		return -EACCES;
	while ((object = ipc_next(ipc, WIRE_MQ, object))) {
		name = arena_at(&ipc->arena, object->name, WIRE_NAME_SIZE);
		if (name && !(object->flags & IPC_UNLINKED) &&
		    strncmp(name, request->name, WIRE_NAME_SIZE) == 0)
			break;
	}
	*ret_object = object;
	return 0;
}

static void free_queue(struct ipc *ipc, const struct ipc_object *object)
{
	ipc_msg_discard(ipc, object);
	arena_give(&ipc->arena, object->name, WIRE_NAME_SIZE);
	ipc_remove(ipc, object);
}

static bool is_unused(struct ipc *ipc, const struct ipc_object *object)
{
	return (object->flags & IPC_UNLINKED) && !ipc_waiter_first(ipc, object->serial) &&
	       !ipc_mq_fd_is_open(ipc, object);
}

bool ipc_mq_free_unused(struct ipc *ipc)
{
	const struct ipc_object *object = NULL;

	while ((object = ipc_next(ipc, WIRE_MQ, object))) {
		if (is_unused(ipc, object)) {
			free_queue(ipc, object);
			return true;
		}
	}
	return false;
}

static bool may_have_more(const struct ipc_call *call)
{
	return judge_has_capability(&call->peer->actor, CAP_SYS_RESOURCE);
}

static uint64_t cost_of(const struct shape *shape)
{
	uint64_t messages = (uint64_t)shape->messages;
	uint64_t priorities = messages < PRIORITIES ? messages : PRIORITIES;

	return messages * ((uint64_t)shape->size + MESSAGE_COST) + priorities * PRIORITY_COST;
}

/* As long as it has any, a user's queues count against the limit of who makes another. */
static int check_share(struct ipc *ipc, const struct ipc_call *call, const struct shape *shape)
{
	const struct ipc_object *object = NULL;
	uint64_t bytes = cost_of(shape);

	while ((object = ipc_next(ipc, WIRE_MQ, object))) {
		const struct queue *queue = ipc_queue(ipc, object);

		if (queue && object->cuid == call->peer->actor.uid)
			bytes += cost_of(&(struct shape){(int64_t)queue->count_max,
			                                 (int64_t)queue->size_max});
	}
	return bytes <= proc_limit(call->peer->pid, "\nMax msgqueue size", BYTES_DEFAULT) ? 0
	                                                                               : -EMFILE;
}

/* mqueue_create_attr() and mqueue_get_inode(). */
static int check_shape(struct ipc *ipc, const struct ipc_call *call, struct shape *ret_shape)
{
	const struct ipc_limits *limits = &ipc->limits;
	struct shape shape = {
		limits->mq_msg < limits->mq_msg_default ? limits->mq_msg : limits->mq_msg_default,
		limits->mq_msgsize < limits->mq_msgsize_default ? limits->mq_msgsize
		                                                : limits->mq_msgsize_default,
	};
	bool has_more;

	for (int i = 0; i < FREED_MAX && ipc_mq_free_unused(ipc); i++)
		continue;
	if (ipc_header(ipc)->used[WIRE_MQ] >= limits->mq_queues && !may_have_more(call))
		return -ENOSPC;
	if (call->asked->length == sizeof shape)
		memcpy(&shape, call->bytes, sizeof shape);
	else if (call->asked->length)
		return -EINVAL;
	*ret_shape = shape;
	if (shape.messages <= 0 || shape.size <= 0)
		return -EINVAL;
	has_more = shape.messages > limits->mq_msg || shape.size > limits->mq_msgsize;
	/* No message is larger than what the door lets through. */
	if (has_more && (!may_have_more(call) || shape.messages > HARD_MSG_MAX ||
	                 shape.size > WIRE_BYTES_MAX))
		return -EINVAL;
	return check_share(ipc, call, &shape);
}

static int fill_queue(struct ipc *ipc, const struct ipc_call *call, const struct shape *shape,
                      const struct ipc_object *object)
{
	struct arena *arena = &ipc->arena;
	int64_t name = arena_take(arena, WIRE_NAME_SIZE);
	int64_t body;

	if (name < 0)
		return (int)name;
	arena_fill(arena, arena_at(arena, (uint64_t)name, WIRE_NAME_SIZE), call->request->name,
	           WIRE_NAME_SIZE);
	body = queue_new(arena, QUEUE_POSIX, 0, (uint64_t)shape->messages, (uint64_t)shape->size);
	if (body < 0)
		return (int)body;
	ARENA_SET(arena, object->name, (uint64_t)name);
	ARENA_SET(arena, object->body, (uint64_t)body);
	for (int access = O_RDONLY; access <= O_RDWR; access++)
		ARENA_SET(arena, object->secret[access], ipc_secret(ipc));
	return 0;
}

/* Whoever makes a queue has it open as asked, whatever its mode. */
static int make_queue(struct ipc *ipc, struct ipc_call *call, const struct ipc_object **ret_object)
{
	struct shape shape;
	int result = check_shape(ipc, call, &shape);

	if (result == 0)
		result = ipc_add(ipc, call, WIRE_MQ, 0, call->request->mode, IPC_MQ_MAX,
		                 ret_object);
	if (result == 0)
		result = fill_queue(ipc, call, &shape, *ret_object);
	if (result == 0)
		result = ipc_mq_fd_make(ipc, *ret_object);
	if (result == 0)
		result = ipc_mq_fd_open(ipc, *ret_object, (int)call->asked->flags);
	if (result < 0)
		return result;
	call->fd = result;
	ipc_mq_fd_give_away(ipc, *ret_object);
	return 0;
}

static int open_queue(struct ipc *ipc, struct ipc_call *call, const struct ipc_object *object)
{
	static const mode_t wanted[] = {JUDGE_READ, JUDGE_WRITE, JUDGE_READ | JUDGE_WRITE};
	const struct stat status = ipc_mq_fd_stat(ipc, object);
	int flags = (int)call->asked->flags;
	int result;

	if ((flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	if ((flags & O_ACCMODE) > O_RDWR)
		return -EINVAL;
	result = judge_access(&call->peer->actor, &status, wanted[flags & O_ACCMODE]);
	if (result == 0)
		result = ipc_mq_fd_open(ipc, object, flags);
	if (result < 0)
		return result;
	call->fd = result;
	return 0;
}

static void tell_handle(struct ipc *ipc, struct ipc_call *call, const struct ipc_object *object,
                        int access)
{
	const struct queue *queue = ipc_queue(ipc, object);

	call->told.handle = (struct wire_handle){object->serial, object->secret[access]};
	call->told.size = queue ? queue->size_max : 0;
}

int ipc_mq_open(struct ipc *ipc, struct ipc_call *call)
{
	int flags = (int)call->asked->flags;
	const struct ipc_object *object;
	int result = find_name(ipc, call, &object);

	if (result < 0)
		return result;
	if (object)
		result = open_queue(ipc, call, object);
	else if (!(flags & O_CREAT))
		result = -ENOENT;
	else if ((flags & O_ACCMODE) > O_RDWR)
		result = -EINVAL;
	else
		result = make_queue(ipc, call, &object);
	if (result == 0)
		tell_handle(ipc, call, object, flags & O_ACCMODE);
	return result;
}

/* mq_unlink(3) makes the folder's EPERM EACCES. */
int ipc_mq_unlink(struct ipc *ipc, struct ipc_call *call)
{
	const struct store_actor *actor = &call->peer->actor;
	const struct ipc_object *object;
	int result = find_name(ipc, call, &object);
	struct stat status;

	if (result < 0)
		return result;
	if (!object)
		return -ENOENT;
	status = ipc_mq_fd_stat(ipc, object);
	if (actor->uid != geteuid() && !judge_is_owner(actor, &status))
		return -EACCES;
	ARENA_SET(&ipc->arena, object->flags, object->flags | IPC_UNLINKED);
	if (is_unused(ipc, object))
		free_queue(ipc, object);
	return 0;
}

int ipc_mq_of(struct ipc *ipc, struct ipc_call *call)
{
	const struct ipc_object *object = NULL;
	int access;

	if (call->passed >= 0)
		object = ipc_mq_fd_whose(ipc, call->passed, &access);
	if (!object)
		return -EBADF;
	tell_handle(ipc, call, object, access);
	return 0;
}

static int wait_for(struct ipc_call *call, const struct ipc_object *object)
{
	if (call->asked->flags & O_NONBLOCK)
		return -EAGAIN;
	call->waits_for = object->serial;
	call->blocked_on = 0;
	return IPC_WAITS;
}

/* Somebody who waits for a message gets it, and nobody is told of it. Nor is anybody of one that
 * had to wait for room. */
static bool is_noticed(struct ipc *ipc, const struct ipc_call *call,
                       const struct ipc_object *object)
{
	struct ipc_waiter *waiter = ipc_waiter_first(ipc, object->serial);

	for (; waiter; waiter = ipc_waiter_after(waiter, object->serial))
		if (waiter->op == WIRE_MQ_RECEIVE || waiter->connection == call->connection)
			return false;
	return true;
}

int ipc_mq_send(struct ipc *ipc, struct ipc_call *call)
{
	const struct wire_ipc *asked = call->asked;
	const struct queue_stamp stamp = {(uint32_t)call->peer->pid, ipc_now()};
	const struct ipc_object *object;
	const struct queue *queue;
	int access;
	int result;

	if ((uint32_t)asked->number >= PRIORITIES)
		return -EINVAL;
	object = ipc_mq_asked(ipc, call, &access);
	queue = object ? ipc_queue(ipc, object) : NULL;
	if (!queue || access == O_RDONLY)
		return -EBADF;
	result = queue_send(&ipc->arena, object->body, asked->number, call->bytes, asked->length,
	                    &stamp);
	if (result == -EAGAIN)
		return wait_for(call, object);
	if (result < 0)
		return result == -ENOSPC ? -ENOMEM : result;
	if (queue->count == 1 && is_noticed(ipc, call, object))
		ipc_notice_trigger(ipc, object, call);
	ipc_changed(ipc, object);
	ipc_mq_show(ipc, object);
	return 0;
}

int ipc_mq_receive(struct ipc *ipc, struct ipc_call *call)
{
	const struct wire_ipc *asked = call->asked;
	const struct queue_stamp stamp = {(uint32_t)call->peer->pid, ipc_now()};
	const struct queue_wish wish = {
		.room = asked->size < WIRE_BYTES_MAX ? asked->size : WIRE_BYTES_MAX,
	};
	int access;
	const struct ipc_object *object = ipc_mq_asked(ipc, call, &access);
	const struct queue *queue = object ? ipc_queue(ipc, object) : NULL;
	int64_t result;

	if (!queue || access == O_WRONLY)
		return -EBADF;
	if (asked->size < queue->size_max)
		return -EMSGSIZE;
	result = queue_receive(&ipc->arena, object->body, &wish, call->text, &call->told.type,
	                       &stamp);
	if (result == -EAGAIN)
		return wait_for(call, object);
	if (result < 0)
		return (int)result;
	call->told.length = (uint32_t)result;
	ipc_changed(ipc, object);
	ipc_mq_show(ipc, object);
	return (int)result;
}

int ipc_mq_attributes(struct ipc *ipc, struct ipc_call *call)
{
	int access;
	const struct ipc_object *object = ipc_mq_asked(ipc, call, &access);
	const struct queue *queue = object ? ipc_queue(ipc, object) : NULL;
	struct wire_ipc_stat stat;
	struct stat status;

	if (!queue)
		return -EBADF;
	status = ipc_mq_fd_stat(ipc, object);
	stat = ipc_describe(object);
	stat.uid = status.st_uid;
	stat.gid = status.st_gid;
	stat.mode = status.st_mode & 0777;
	stat.size = queue->size_max;
	stat.most = queue->count_max;
	stat.count = queue->count;
	stat.bytes = queue->bytes;
	stat.time[0] = status.st_atime;
	stat.time[1] = status.st_mtime;
	stat.time[2] = status.st_ctime;
	memcpy(call->text, &stat, sizeof stat);
	call->told.length = sizeof stat;
	return 0;
}
