/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/client_ipc.h"

#include <string.h>

#include "base/client.h"
#include "base/client_i.h"
#include "base/fdpass.h"
#include "base/look.h"
#include "base/own.h"

enum { STALE = 1, PARTS = 3, EVER_SECONDS = 1000 * 1000 * 1000 };

struct client_ipc client_ipc_make(enum wire_op op)
{
	struct client_ipc call;

	/* No byte of the host's stack may travel, as in wire_request_make. */
	memset(&call, 0, sizeof call);
	call.request = wire_request_make(op);
	call.asked.deadline = WIRE_NO_DEADLINE;
	call.file = call.fd = -1;
	return call;
}

int client_ipc_send(int sock, struct client_ipc *call)
{
	const struct iovec parts[PARTS] = {
		client_part(&call->request, sizeof call->request),
		client_part(&call->asked, sizeof call->asked),
		client_part(call->bytes, call->asked.length),
	};

	call->fd = -1;
	call->request.serial = look_now();
	return client_send(sock, parts, PARTS, call->file);
}

/* Does an answer come with a file? MQ_NOTIFY's does if there is something to be told of. */
static bool file_fits(const struct client_ipc *call)
{
	enum wire_op op = call->request.header.op;
	bool came = call->fd >= 0;

	if (call->reply.result >= 0 &&
	    (op == WIRE_SHM_ATTACH || op == WIRE_IPC_SHARE || op == WIRE_MQ_OPEN ||
	     op == WIRE_MEMFD))
		return came;
	return !came || (call->reply.result >= 0 && op == WIRE_MQ_NOTIFY);
}

static int check(const struct client_ipc *call, size_t size)
{
	int result = wire_check_ipc_told(&call->reply, size, &call->request.header, &call->told);

	return result == 0 && !file_fits(call) ? -EPROTO : result;
}

/* One message; -EAGAIN: there is none. */
static int receive_one(int sock, struct client_ipc *call)
{
	const struct iovec parts[PARTS] = {
		client_part(&call->reply, sizeof call->reply),
		client_part(&call->told, sizeof call->told),
		client_part(call->text, call->text ? call->text_room : 0),
	};
	ssize_t size;
	int result;

	memset(&call->reply, 0, sizeof call->reply);
	memset(&call->told, 0, sizeof call->told);
	call->fd = -1;
	size = fdpass_receive(sock, parts, PARTS, &call->fd, NULL, MSG_DONTWAIT);
	if (size == 0)
		return -ECONNRESET;
	result = (int)size;
	/* Too long for this version's: another version's, by its header, or nonsense. */
	if (size == -EMSGSIZE)
		size = sizeof call->reply.header;
	if ((size >= (ssize_t)sizeof call->reply || result == -EMSGSIZE || result == -EMFILE) &&
	    client_is_stale(&call->request, &call->reply))
		result = STALE;
	else if (size > 0)
		result = check(call, (size_t)size);
	if (result)
		fd_close_at(&call->fd);
	return result;
}

/* In ppoll(2). The kernel begins that again when the process was stopped and continued, but not
 * where it can't write down what is left of the timeout. */
static int sleep_with(int sock, const uint64_t *mask, bool resumes)
{
	static const struct timespec ever = {.tv_sec = EVER_SECONDS};
	struct pollfd answer = {.fd = sock, .events = POLLIN};
	int result = (int)sys_call(SYS_ppoll, (long)&answer, 1, resumes ? 0 : (long)&ever,
	                           (long)mask, sizeof *mask, 0);

	return result < 0 ? result : -EAGAIN;
}

/* In recvmsg(2), which is begun again after a handler with SA_RESTART, as the kernel's own waits
 * are. */
static int sleep_restarting(int sock)
{
	char byte;
	struct iovec part = {&byte, sizeof byte};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t size = sys_recvmsg(sock, &message, MSG_PEEK);

	/* The socket does not wait, or no longer. */
	if (size == -EAGAIN)
		return sleep_with(sock, NULL, true);
	return size < 0 ? (int)size : -EAGAIN;
}

/* Until a message is there, or the end: -EAGAIN. */
static int sleep_for(int sock, const struct client_ipc *call, enum client_wait wait)
{
	if (wait == CLIENT_PATIENT)
		return client_sleep(sock);
	if (wait == CLIENT_RESTART)
		return sleep_restarting(sock);
	return sleep_with(sock, &call->mask, wait == CLIENT_NEVER_RESTART);
}

int client_ipc_receive(int sock, struct client_ipc *call, enum client_wait wait)
{
	struct look look = look_begin(wait != CLIENT_PATIENT);
	int result;

	do {
		result = receive_one(sock, call);
		if (result == -EAGAIN && !look_again(&look))
			result = sleep_for(sock, call, wait);
	} while (result == STALE || result == -EAGAIN);
	look_end(&look);
	return result;
}

int client_ipc_call_off(int sock, struct client_ipc *call)
{
	int result = (int)sys_call(SYS_shutdown, sock, SHUT_WR, 0, 0, 0, 0);

	return result < 0 ? result : client_ipc_receive(sock, call, CLIENT_PATIENT);
}
