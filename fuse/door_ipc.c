/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations on IPC, and who waits.
 *
 * A request that can't be done yet stays in its socket, and a copy of it here; of its connection
 * nothing is heard but its end. When its object changes it is tried again, as if it had just come.
 * A successor finds all of them in their sockets, and has them wait again in the same order before
 * it serves anything: what it serves first may depend on who waits (ipc_wait.c). */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "fuse/disposal.h"
#include "fuse/door_i.h"
#include "fuse/ipc_share.h"
#include "fuse/peer.h"

enum { MONOTONIC, REALTIME, NANOSECONDS = 1000000000 };

struct pending {
	struct ipc_waiter waiter; /* first: that is what others have of it */
	struct connection *connection;
	struct fdpass_sender sender;
	struct wire_request request; /* with what follows it */
};

static const struct store_creator *creator(struct ipc_call *ipc)
{
	return call_creator((struct call *)((char *)ipc - offsetof(struct call, ipc)));
}

int call_ipc(struct call *call)
{
	struct door *door = call->connection->door;
	const struct wire_ipc *asked = wire_ipc_of(call->request);
	struct peer peer;
	int result;

	if (!door->options.ipc)
		return -ENOSYS;
	peer_init(&peer, &call->sender, call->connection->source.fd);
	call->ipc = (struct ipc_call){
		.request = call->request,
		.asked = asked,
		.bytes = asked + 1,
		.peer = &peer,
		.connection = call->connection->number,
		.creator = creator,
		.passed = call->passed,
		.text = door->bytes,
		.fd = -1,
	};
	result = ipc_perform(door->options.ipc, &call->ipc);
	if (result >= 0 && result != IPC_WAITS) {
		call->ipc_told = call->ipc.told;
		call->fd = fd_steal(&call->ipc.fd);
	}
	disposal_close(fd_steal(&call->ipc.fd));
	call->ipc.peer = NULL;
	return result;
}

/* Who asks need not wait for its answer. */
static bool is_told(const struct call *call)
{
	const struct wire_request *request = call->request;

	return request->header.op == WIRE_IPC_PRESENT &&
	       (wire_ipc_of(request)->flags & WIRE_PRESENT_CHILD);
}

/* What could not be answered has not been done: the asker is gone. But the second time that it is
 * served, after a kill, it may have had its answer. */
void call_ipc_done(struct call *call, bool answered)
{
	struct door *door = call->connection->door;

	if (!door->options.ipc)
		return;
	if (answered || store_turn_is_again(door->store) || is_told(call))
		ipc_commit(door->options.ipc);
	else
		ipc_roll_back(door->options.ipc);
}

static int clock_of(uint32_t op)
{
	return op == WIRE_MQ_SEND || op == WIRE_MQ_RECEIVE ? REALTIME : MONOTONIC;
}

/* At the deadline. */
static int lateness_of(uint32_t op)
{
	return clock_of(op) == REALTIME ? -ETIMEDOUT : -EAGAIN;
}

static int64_t now_by(int which)
{
	struct timespec now;

	clock_gettime(which == REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NANOSECONDS + now.tv_nsec;
}

/* Has the clock ring by then. */
static void wake_by(struct door *door, int which, int64_t deadline)
{
	int flags = TFD_TIMER_ABSTIME | (which == REALTIME ? TFD_TIMER_CANCEL_ON_SET : 0);
	struct itimerspec when = {0};

	if (deadline >= door->wakes[which])
		return;
	/* 0 would be never. */
	if (deadline < 1)
		deadline = 1;
	door->wakes[which] = deadline;
	when.it_value.tv_sec = deadline / NANOSECONDS;
	when.it_value.tv_nsec = deadline % NANOSECONDS;
	timerfd_settime(door->clocks[which].fd, flags, &when, NULL);
}

void door_ipc_leave(struct connection *connection)
{
	if (connection->pending)
		ipc_waiter_remove(connection->door->options.ipc, &connection->pending->waiter);
	free(connection->pending);
	connection->pending = NULL;
}

void door_ipc_forget(struct connection *connection)
{
	if (connection->pending)
		ipc_wait_end(connection->door->options.ipc, &connection->pending->waiter);
	door_ipc_leave(connection);
}

static void note_wait(struct pending *pending, const struct call *call)
{
	pending->waiter.serial = call->ipc.waits_for;
	pending->waiter.blocked_on = call->ipc.blocked_on;
}

/* NULL: no memory. */
static struct pending *pending_new(const struct call *call, size_t size)
{
	struct pending *pending = malloc(offsetof(struct pending, request) + size);
	const struct wire_ipc *asked;
	int64_t now = now_by(MONOTONIC);

	if (!pending)
		return NULL;
	memset(pending, 0, offsetof(struct pending, request));
	memcpy(&pending->request, call->request, size);
	asked = wire_ipc_of(&pending->request);
	pending->connection = call->connection;
	pending->sender = call->sender;
	pending->waiter = (struct ipc_waiter){
		.connection = call->connection->number,
		.op = call->request->header.op,
		/* Nobody has asked before us in the future. */
		.since = asked->since < now ? asked->since : now,
		.deadline = asked->deadline,
		.pid = (uint32_t)call->sender.pid,
		.asked = asked,
	};
	note_wait(pending, call);
	return pending;
}

/* It is not to wait. */
static void answer_at_once(struct call *call, int result)
{
	call->is_retry = true;
	if (call_perform(call, result) < 0)
		connection_free(call->connection);
}

/* Takes `pending`, and frees it if it can't wait. */
static bool begin_waiting(struct pending *pending)
{
	struct connection *connection = pending->connection;
	struct door *door = connection->door;

	if (loop_change(door->loop, &connection->source, 0) < 0) {
		free(pending);
		return false;
	}
	connection->pending = pending;
	ipc_waiter_add(door->options.ipc, &pending->waiter);
	wake_by(door, clock_of(pending->waiter.op), pending->waiter.deadline);
	return true;
}

void door_ipc_wait(struct call *call, size_t size)
{
	uint32_t op = call->request->header.op;
	struct pending *pending;

	/* After a kill its asker may know already that it is over, and tell others. */
	if (wire_ipc_of(call->request)->deadline <= now_by(clock_of(op))) {
		answer_at_once(call, lateness_of(op));
		return;
	}
	pending = pending_new(call, size);
	if (pending && begin_waiting(pending))
		ipc_wait_note(call->connection->door->options.ipc, &pending->waiter,
		              &pending->request, size);
	else
		answer_at_once(call, -ENOMEM);
}

enum outcome { WAITS_ON, ANSWERED, GONE };

/* Serves what has waited once more, or answers with a failure. GONE: its connection is. */
static enum outcome serve_waiting(struct pending *pending, int checked)
{
	struct connection *connection = pending->connection;
	struct door *door = connection->door;
	struct call call = {
		.connection = connection,
		.request = &pending->request,
		.sender = pending->sender,
		.passed = -1,
		.fd = -1,
		.is_retry = true,
	};
	int result = call_perform(&call, checked);

	if (result == CALL_WAITS) {
		note_wait(pending, &call);
		ipc_wait_move(door->options.ipc, &pending->waiter);
		return WAITS_ON;
	}
	door_ipc_forget(connection);
	if (result == 0)
		result = loop_change(door->loop, &connection->source, EPOLLIN);
	if (result < 0)
		connection_free(connection);
	fd_close_at(&call.fd);
	return result < 0 ? GONE : ANSWERED;
}

/* An end that only does not write any more is still read from. */
void door_ipc_hear(struct connection *connection, uint32_t events)
{
	bool is_over = events & (EPOLLHUP | EPOLLERR);

	if (!is_over && (events & EPOLLRDHUP))
		is_over = serve_waiting(connection->pending, -EINTR) == ANSWERED;
	if (is_over)
		connection_free(connection);
}

static bool only_looks(const struct ipc_waiter *waiter)
{
	return waiter->op == WIRE_SEM_OP && ipc_sem_only_looks(waiter->asked);
}

/* Those who only look at semaphores come first, as in the kernel. */
static bool retry_some(struct door *door, uint64_t serial, bool looks)
{
	struct ipc_waiter *waiter = ipc_waiter_first(door->options.ipc, serial);

	for (; waiter; waiter = ipc_waiter_after(waiter, serial))
		if (only_looks(waiter) == looks &&
		    serve_waiting((struct pending *)waiter, 0) != WAITS_ON)
			return true;
	return false;
}

void door_ipc_retry(struct door *door)
{
	uint64_t serial;

	if (!door->options.ipc)
		return;
	while ((serial = ipc_next_changed(door->options.ipc)))
		while (retry_some(door, serial, true) || retry_some(door, serial, false))
			;
	ipc_share_after(door->options.ipc);
}

static int ring(struct door *door, int which)
{
	struct ipc_waiter *waiter = ipc_waiter_first(door->options.ipc, 0);
	struct ipc_waiter *next;
	uint64_t times;
	int64_t now = now_by(which);

	/* Or, if the clock was set, nothing: then it is to be looked at as well. */
	if (read(door->clocks[which].fd, &times, sizeof times) < 0 && errno == EAGAIN)
		return 0;
	door->wakes[which] = WIRE_NO_DEADLINE;
	for (; waiter; waiter = next) {
		next = ipc_waiter_after(waiter, 0);
		if (clock_of(waiter->op) != which)
			continue;
		if (waiter->deadline > now)
			wake_by(door, which, waiter->deadline);
		else
			serve_waiting((struct pending *)waiter, lateness_of(waiter->op));
	}
	door_ipc_retry(door);
	return 0;
}

static int ring_monotonic(struct loop_source *source, uint32_t events)
{
	(void)events;
	return ring((struct door *)((char *)source - offsetof(struct door, clocks)), MONOTONIC);
}

static int ring_realtime(struct loop_source *source, uint32_t events)
{
	(void)events;
	source -= REALTIME;
	return ring((struct door *)((char *)source - offsetof(struct door, clocks)), REALTIME);
}

static int hear_ends(struct loop_source *source, uint32_t events)
{
	struct door *door = (struct door *)((char *)source - offsetof(struct door, lingers));

	(void)events;
	ipc_linger_look(door->options.ipc);
	door_ipc_retry(door);
	return 0;
}

int door_ipc_begin(struct door *door)
{
	struct loop_source *lingers = &door->lingers;
	int result = 0;

	lingers->handle = hear_ends;
	lingers->fd = door->options.ipc ? ipc_linger_fd(door->options.ipc) : -1;
	if (lingers->fd >= 0)
		result = loop_add(door->loop, lingers, EPOLLIN);

	for (int which = 0; which < 2 && result == 0; which++) {
		struct loop_source *clock = &door->clocks[which];

		door->wakes[which] = WIRE_NO_DEADLINE;
		if (!door->options.ipc)
			continue;
		clock->handle = which == REALTIME ? ring_realtime : ring_monotonic;
		clock->fd = timerfd_create(which == REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC,
		                           TFD_CLOEXEC | TFD_NONBLOCK);
		result = clock->fd < 0 ? -errno : loop_add(door->loop, clock, EPOLLIN);
	}
	return result;
}

void door_ipc_end(struct door *door)
{
	if (door->lingers.fd >= 0)
		loop_remove(door->loop, &door->lingers);
	for (int which = 0; which < 2; which++) {
		if (door->clocks[which].fd >= 0)
			loop_remove(door->loop, &door->clocks[which]);
		fd_close_at(&door->clocks[which].fd);
	}
}

struct restored {
	int64_t since;
	struct connection *connection;
};

static int by_since(const void *left, const void *right)
{
	const struct restored *one = left;
	const struct restored *other = right;

	if (one->since != other->since)
		return one->since < other->since ? -1 : 1;
	return one->connection->number < other->connection->number ? -1 : 1;
}

static bool may_wait(unsigned op)
{
	return op == WIRE_SEM_OP || op == WIRE_MSG_SEND || op == WIRE_MSG_RECEIVE ||
	       op == WIRE_MQ_SEND || op == WIRE_MQ_RECEIVE;
}

/* Does what is in its socket wait? The last thing that a worker does about one that has waited is
 * to take it out. One that comes with a descriptor by now has been put there by somebody else. */
static void recall(struct connection *connection)
{
	struct door *door = connection->door;
	struct iovec part = {&door->message, sizeof door->message};
	struct ipc_waiter waiter = {.connection = connection->number};
	struct call call = {
		.connection = connection,
		.request = &door->message.request,
		.passed = -1,
	};
	ssize_t size = fdpass_receive(connection->source.fd, &part, 1, &call.passed, &call.sender,
	                              MSG_DONTWAIT | MSG_PEEK);
	bool is_sound = size > 0 && call.passed < 0 &&
	                wire_check_request(call.request, (size_t)size) == 0 &&
	                may_wait(call.request->header.op);
	struct pending *pending;

	disposal_close(call.passed);
	if (!is_sound || !ipc_recall(door->options.ipc, &waiter, call.request, (size_t)size))
		return;
	pending = pending_new(&call, (size_t)size);
	if (pending) {
		pending->waiter.serial = waiter.serial;
		pending->waiter.blocked_on = waiter.blocked_on;
		pending->waiter.since = waiter.since;
		pending->waiter.record = waiter.record;
	}
	if (!pending || !begin_waiting(pending))
		ipc_wait_end(door->options.ipc, &waiter);
}

static void recall_all(struct door *door)
{
	struct restored *all = calloc(door->connection_count + 1, sizeof *all);
	int64_t since;
	size_t count = 0;

	/* Without it they wait all the same: a new worker can be had. */
	for (struct connection *connection = all ? door->connections : NULL; connection;
	     connection = connection->next)
		if (ipc_recall_knows(door->options.ipc, connection->number, &since))
			all[count++] = (struct restored){since, connection};
	if (count)
		qsort(all, count, sizeof *all, by_since);
	for (size_t i = 0; i < count; i++)
		recall(all[i].connection);
	free(all);
}

void door_ipc_recall(struct door *door)
{
	if (!door->options.ipc)
		return;
	if (ipc_recall_begin(door->options.ipc))
		recall_all(door);
	ipc_recall_end(door->options.ipc);
}

bool door_ipc_resume(struct connection *connection, uint64_t serial)
{
	struct door *door = connection->door;
	struct pending *pending = connection->pending;
	struct pollfd end = {.fd = connection->source.fd, .events = POLLRDHUP};

	if (!pending || pending->request.serial != serial)
		return false;
	if (serve_waiting(pending, 0) == WAITS_ON) {
		/* That it was over may have been its outcome, and be known. */
		if (pending->waiter.deadline <= now_by(clock_of(pending->waiter.op)))
			serve_waiting(pending, lateness_of(pending->waiter.op));
		else if (poll(&end, 1, 0) == 1)
			door_ipc_hear(connection, (uint32_t)end.revents);
	}
	door_ipc_retry(door);
	return true;
}

/* What they wait for may have come as the earlier worker was killed. */
static void try_all(struct door *door, bool looks)
{
	struct ipc_waiter *waiter = ipc_waiter_first(door->options.ipc, 0);
	struct ipc_waiter *next;

	for (; waiter; waiter = next) {
		next = ipc_waiter_after(waiter, 0);
		if (only_looks(waiter) == looks)
			serve_waiting((struct pending *)waiter, 0);
	}
}

void door_ipc_restore(struct door *door, int (*serve)(struct loop_source *source, uint32_t events))
{
	struct restored *restored;
	struct door_head head;
	bool is_ipc;
	size_t count = 0;

	if (!door->options.ipc || !door->connection_count)
		return;
	try_all(door, true);
	try_all(door, false);
	door_ipc_retry(door);
	restored = calloc(door->connection_count, sizeof *restored);
	/* Without it they are served all the same, in any order. */
	for (struct connection *connection = restored ? door->connections : NULL; connection;
	     connection = connection->next)
		if (!connection->pending && connection_peek(connection, &head, &is_ipc) &&
		    is_ipc && may_wait(head.request.header.op))
			restored[count++] = (struct restored){head.ipc.since, connection};
	if (count)
		qsort(restored, count, sizeof *restored, by_since);
	for (size_t i = 0; i < count; i++)
		serve(&restored[i].connection->source, EPOLLIN);
	free(restored);
	door_ipc_retry(door);
}
