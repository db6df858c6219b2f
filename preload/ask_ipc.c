/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/ask_ipc.h"

#include <pthread.h>
#include <signal.h>

#include "base/look.h"
#include "base/own.h"
#include "preload/ask_i.h"
#include "preload/export.h"
#include "preload/presence.h"

struct inquiry {
	struct client_ipc *call;
	enum client_wait wait;
	bool is_cancellable;
	bool is_lost; /* a daemon ended while we waited */
	int outcome;  /* the daemon's, or that of a copy from or to the program's memory */
};

/* See client_ipc.h. */
static void hold_signals(struct inquiry *inquiry)
{
	const uint64_t all = UINT64_MAX;

	if (inquiry->wait >= CLIENT_NEVER_RESTART)
		sys_sigmask(SIG_SETMASK, &all, &inquiry->call->mask);
}

static void let_signals_in(const struct inquiry *inquiry)
{
	if (inquiry->wait >= CLIENT_NEVER_RESTART)
		sys_sigmask(SIG_SETMASK, &inquiry->call->mask, NULL);
}

struct wait {
	struct line line;
	const struct inquiry *inquiry;
};

static void hang_up(void *argument)
{
	const struct wait *wait = argument;

	pool_cut(wait->line);
	let_signals_in(wait->inquiry);
}

/* The wait is a system call of our own, not libc's: what makes it a cancellation point is that the
 * thread can be cancelled at any moment of it. That may be the moment at which the answer is there:
 * then what was done is done, as with libc's. */
static int receive_cancellably(struct line line, const struct inquiry *inquiry)
{
	struct wait wait = {line, inquiry};
	int type;
	int result;

	pthread_cleanup_push(hang_up, &wait);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	result = client_ipc_receive(line.sock, inquiry->call, inquiry->wait);
	pthread_setcanceltype(type, NULL);
	pthread_cleanup_pop(0);
	return result;
}

static int put(const struct question *question, struct line line)
{
	struct inquiry *inquiry = question->what;
	struct client_ipc *call = inquiry->call;
	bool is_called_off;
	int result;

	hold_signals(inquiry);
	result = client_ipc_send(line.sock, call);
	if (result == 0 && inquiry->is_cancellable)
		result = receive_cancellably(line, inquiry);
	else if (result == 0)
		result = client_ipc_receive(line.sock, call, inquiry->wait);
	is_called_off = result == -EINTR;
	if (is_called_off && client_ipc_call_off(line.sock, call) < 0)
		call->reply.result = -EINTR;
	let_signals_in(inquiry);
	if (result == -ECONNRESET && inquiry->wait != CLIENT_PATIENT)
		inquiry->is_lost = true;
	/* Of the program's memory: the connection is in step. */
	inquiry->outcome = result == -EFAULT ? -EFAULT : call->reply.result;
	if (is_called_off)
		return ASK_LAST;
	return result == -EFAULT ? 0 : result;
}

static bool brings_file(const struct client_ipc *call)
{
	enum wire_op op = call->request.header.op;

	return op == WIRE_SHM_ATTACH || op == WIRE_IPC_SHARE || op == WIRE_MQ_OPEN ||
	       op == WIRE_MQ_NOTIFY || op == WIRE_MEMFD;
}

int ask_question_ipc(const struct question *question)
{
	int result = ask_question(question);

	/* A daemon without it is as a host without it. EACCES would be about an object that is
	 * there: PostgreSQL then tries the next key, and so on for ever. */
	return result == -EPROTONOSUPPORT || result == -EACCES ? -ENOSYS : result;
}

static int inquire(struct inquiry *inquiry)
{
	struct client_ipc *call = inquiry->call;
	struct question question = {
		.put = put,
		.what = inquiry,
		.needs_number = brings_file(call),
		.may_wait = inquiry->wait != CLIENT_PATIENT,
		.header = &call->reply.header,
	};
	int result;

	call->fd = -1;
	call->reply.header.version = 0;
	result = ask_question_ipc(&question);
	return result < 0 ? result : inquiry->outcome;
}

/* Whoever serves now knows nothing of what the one before had. */
static int end_of(const struct inquiry *inquiry, int result)
{
	return result < 0 && result != -EINTR && inquiry->is_lost ? -EIDRM : result;
}

/* What is removed while we are still on the way to a daemon was there when the call was made. After
 * a sleep elsewhere, and over another connection, it is still the same call. */
static void note_start(struct client_ipc *call)
{
	if (!call->asked.since)
		call->asked.since = (int64_t)look_now();
}

int ask_ipc(struct client_ipc *call, enum client_wait wait, bool is_cancellable)
{
	struct inquiry inquiry = {call, wait, is_cancellable};

	note_start(call);
	if (is_cancellable)
		pthread_testcancel();
	return end_of(&inquiry, inquire(&inquiry));
}

int ask_ipc_present(struct client_ipc *call, enum client_wait wait, bool is_cancellable)
{
	struct inquiry inquiry = {call, wait, is_cancellable};
	int result = -ESTALE;

	note_start(call);
	if (is_cancellable)
		pthread_testcancel();
	for (int attempt = 0; attempt < 2 && result == -ESTALE; attempt++) {
		result = presence_get(&call->asked.presence);
		if (result < 0)
			return end_of(&inquiry, result);
		result = inquire(&inquiry);
		if (result == -ESTALE)
			presence_forget(&call->asked.presence);
	}
	return end_of(&inquiry, result);
}

int ask_ipc_result(int result)
{
	return export_result(result);
}
