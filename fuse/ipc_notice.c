/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mq_notify(3). Who is registered has the reading end of a pipe. That a notice is due is in the
 * arena, with the message that it is of: it is sent when that turn has been committed, in one of
 * its own, so that none is lost, and none is sent of a message that did not come. One that is sent
 * twice is read once. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/own.h"
#include "fuse/ipc_mq.h"
#include "fuse/keep.h"
#include "fuse/peer.h"

void ipc_notice_trigger(struct ipc *ipc, const struct ipc_object *object, struct ipc_call *call)
{
	struct arena *arena = &ipc->arena;

	if (!object->notice_serial)
		return;
	ARENA_SET(arena, object->notice_serial, 0);
	if (object->notice_kind == WIRE_NOTICE_NONE)
		return;
	/* Who sends to itself waits for the signal. */
	if (object->notice_kind == WIRE_NOTICE_SIGNAL)
		call->told.cursor = object->notice_presence;
	ARENA_SET(arena, object->notice_due, 1);
	ARENA_SET(arena, object->notice_from[0], (uint32_t)call->peer->pid);
	ARENA_SET(arena, object->notice_from[1], (uint32_t)call->peer->actor.uid);
	ipc->mq_is_settled = false;
}

/* It fits: nothing else is ever written to a pipe. Who reads it may be gone. */
static void send_notice(struct ipc *ipc, const struct ipc_object *object)
{
	const struct wire_notice_sent notice = {object->notice_from[0], object->notice_from[1]};
	int held = ipc_held(ipc, KEEP_NOTICE, object->serial);

	if (held >= 0 && write(held, &notice, sizeof notice) < 0 && errno == EAGAIN)
		return;
	ARENA_SET(&ipc->arena, object->notice_due, 0);
	ipc_let_go(ipc, KEEP_NOTICE, object->serial);
}

void ipc_mq_settle(struct ipc *ipc)
{
	const struct ipc_object *object = NULL;

	if (ipc->mq_is_settled || !ipc->arena.bytes)
		return;
	ipc->mq_is_settled = true;
	while ((object = ipc_next(ipc, WIRE_MQ, object))) {
		if (!object->notice_due)
			continue;
		ipc_begin_lone(ipc);
		send_notice(ipc, object);
		ipc_end_lone(ipc);
	}
}

void ipc_notice_remove(struct ipc *ipc, const struct ipc_object *object)
{
	if (!object->notice_serial)
		return;
	ARENA_SET(&ipc->arena, object->notice_serial, 0);
	ipc_let_go(ipc, KEEP_NOTICE, object->serial);
}

/* A process that has closed its pipe would not hear. Its presence's end is on its way. */
static bool is_registered(const struct ipc *ipc, const struct ipc_object *object)
{
	struct pollfd pipe = {.fd = ipc_held(ipc, KEEP_NOTICE, object->serial)};

	if (!object->notice_serial || object->notice_kind == WIRE_NOTICE_NONE)
		return object->notice_serial != 0;
	return pipe.fd >= 0 && poll(&pipe, 1, 0) == 0;
}

/* The reading end. Whoever was answered before a kill has one of the first pipe. */
static int make_pipe(struct ipc *ipc, const struct ipc_object *object)
{
	int held = ipc->is_again ? ipc_held(ipc, KEEP_NOTICE, object->serial) : -1;
	OWN_FD reader = -1;
	char path[64];
	int ends[2];
	int result;

	if (held >= 0) {
		snprintf(path, sizeof path, "/proc/self/fd/%d", held);
		reader = open(path, O_RDONLY | O_CLOEXEC);
		return reader < 0 ? -errno : fd_steal(&reader);
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		return errno == EMFILE ? -ENFILE : -errno;
	reader = ends[0];
	if (fcntl(ends[1], F_SETFL, O_WRONLY | O_NONBLOCK) < 0) {
		result = -errno;
		close(ends[1]);
		return result;
	}
	result = ipc_hold(ipc, KEEP_NOTICE, object->serial, ends[1]);
	return result < 0 ? result : fd_steal(&reader);
}

static int add_registration(struct ipc *ipc, struct ipc_call *call,
                            const struct ipc_object *object, const struct ipc_presence *presence)
{
	struct arena *arena = &ipc->arena;
	uint32_t kind = (uint32_t)call->asked->command;
	int result = 0;

	if (is_registered(ipc, object))
		return -EBUSY;
	if (!presence)
		return -EINVAL;
	/* The last one's first. */
	if (object->notice_due)
		send_notice(ipc, object);
	if (kind != WIRE_NOTICE_NONE)
		result = make_pipe(ipc, object);
	if (result < 0)
		return result;
	if (kind != WIRE_NOTICE_NONE)
		call->fd = result;
	ARENA_SET(arena, object->notice_serial, object->serial);
	ARENA_SET(arena, object->notice_kind, kind);
	ARENA_SET(arena, object->notice_pid, (uint32_t)call->peer->pid);
	ARENA_SET(arena, object->notice_presence, presence->number);
	return 0;
}

static bool is_of(const struct ipc_object *object, const struct ipc_presence *presence)
{
	return presence && object->notice_serial && object->notice_presence == presence->number;
}

int ipc_mq_notify(struct ipc *ipc, struct ipc_call *call)
{
	int access;
	const struct ipc_object *object = ipc_mq_asked(ipc, call, &access);
	const struct ipc_presence *presence = NULL;
	int result;

	if (call->asked->command < WIRE_NOTICE_NONE || call->asked->command > WIRE_NOTICE_REMOVE)
		return -EINVAL;
	if (!object)
		return -EBADF;
	result = ipc_presence_of(ipc, &call->asked->presence, &presence);
	if (call->asked->command != WIRE_NOTICE_REMOVE)
		return result < 0 ? result : add_registration(ipc, call, object, presence);
	/* Anybody else's stays, and that is no error. */
	if (result == 0 && is_of(object, presence))
		ipc_notice_remove(ipc, object);
	return 0;
}

/* To Linux a process that closes any descriptor of the queue has left it. */
int ipc_mq_left(struct ipc *ipc, struct ipc_call *call)
{
	int access;
	const struct ipc_object *object = ipc_mq_asked(ipc, call, &access);
	const struct ipc_presence *presence = NULL;

	if (object && ipc_presence_of(ipc, &call->asked->presence, &presence) == 0 &&
	    is_of(object, presence))
		ipc_notice_remove(ipc, object);
	ipc_mq_free_unused(ipc);
	return 0;
}

bool ipc_mq_leave(struct ipc *ipc, const struct ipc_presence *presence)
{
	const struct ipc_object *object = NULL;

	while (presence && (object = ipc_next(ipc, WIRE_MQ, object))) {
		if (is_of(object, presence)) {
			ipc_notice_remove(ipc, object);
			return true;
		}
	}
	return ipc_mq_free_unused(ipc);
}
