/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/client.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/fdpass.h"
#include "base/own.h"

/* Access is judged by the effective ids, as open(2) does; what the kernel attaches of itself are
 * the real ones. The kernel lets a process claim only ids that it may take on anyway. */
static struct fdpass_sender own_identity(void)
{
	return (struct fdpass_sender){sys_getpid(), sys_geteuid(), sys_getegid()};
}

static int send_request(int sock, const struct wire_request *request, int fd)
{
	struct iovec part = {(void *)(uintptr_t)request, sizeof *request};
	struct fdpass_sender self = own_identity();
	int result = fdpass_send(sock, &part, 1, fd, &self, 0);

	/* Ids that this user namespace has no number for can't be claimed: let the kernel name
	 * them. */
	if (result == -EINVAL || result == -EPERM)
		result = fdpass_send(sock, &part, 1, fd, NULL, 0);
	return result == -EPIPE ? -ECONNRESET : result;
}

static int wait_readable(int sock)
{
	struct timespec patience = {.tv_sec = CLIENT_PATIENCE_SECONDS};
	struct pollfd answer = {.fd = sock, .events = POLLIN};
	int result;

	/* An interrupted wait begins anew: a steady stream of signals must not be what ends it. */
	do
		result = sys_poll(&answer, 1, &patience);
	while (result == -EINTR);
	if (result < 0)
		return result;
	return result ? 0 : -ETIMEDOUT;
}

enum { STALE = 1 };

static bool is_stale(const struct wire_request *request, const struct wire_reply *reply)
{
	return reply->header.magic == WIRE_MAGIC &&
	       reply->header.version == request->header.version && reply->header.op &&
	       reply->serial != request->serial;
}

static int check_answer(const struct wire_request *request, ssize_t size,
                        const struct client_answer *answer)
{
	enum wire_op op = request->header.op;
	int result = wire_check_reply(&answer->reply, (size_t)size, &request->header);

	/* A file comes with a successful open, and with nothing else. */
	if (result == 0 && (answer->fd >= 0) != (op == WIRE_OPEN && answer->reply.result >= 0))
		return -EPROTO;
	return result;
}

static int receive_answer(int sock, const struct wire_request *request,
                          struct client_answer *ret_answer)
{
	const struct iovec parts[] = {
		{&ret_answer->reply, sizeof ret_answer->reply},
		{ret_answer->entries, WIRE_LIST_MAX * sizeof *ret_answer->entries},
	};
	size_t count = request->header.op == WIRE_LIST ? 2 : 1;
	ssize_t size = fdpass_receive(sock, parts, count, &ret_answer->fd, NULL, 0);
	bool whole = size >= (ssize_t)sizeof ret_answer->reply || size == -EMSGSIZE ||
	             size == -EMFILE;
	int result = (int)size;

	if (size == 0)
		return -ECONNRESET;
	/* Too long for this version's: another version's, by its header, or nonsense. */
	if (size == -EMSGSIZE)
		size = sizeof ret_answer->reply.header;
	if (whole && is_stale(request, &ret_answer->reply))
		result = STALE;
	else if (size > 0)
		result = check_answer(request, size, ret_answer);
	if (result)
		fd_close_at(&ret_answer->fd);
	return result;
}

/* A daemon that was killed while it answered, and goes on, may answer twice: what has another
 * serial is an answer to the request before, and was read already. */
static int await_answer(int sock, const struct wire_request *request,
                        struct client_answer *ret_answer)
{
	int result;

	do {
		result = wait_readable(sock);
		if (result < 0)
			return result;
		ret_answer->fd = -1;
		memset(&ret_answer->reply, 0, sizeof ret_answer->reply);
		result = receive_answer(sock, request, ret_answer);
	} while (result == STALE);
	return result;
}

static uint64_t make_serial(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static int ask_in(int sock, struct wire_request *request, struct client_answer *ret_answer)
{
	int result;

	ret_answer->fd = -1;
	request->serial = make_serial();
	result = send_request(sock, request, -1);
	return result < 0 ? result : await_answer(sock, request, ret_answer);
}

int client_ask(int sock, struct wire_request *request, struct client_answer *ret_answer)
{
	int result = ask_in(sock, request, ret_answer);
	unsigned theirs = ret_answer->reply.header.version;

	if (result == -EPROTONOSUPPORT && theirs < WIRE_VERSION && wire_speaks(theirs)) {
		request->header.version = (uint16_t)theirs;
		result = ask_in(sock, request, ret_answer);
	}
	return result;
}

int client_adopt(int sock)
{
	struct wire_request request = wire_request_make(WIRE_ADOPT);
	int pair[2];
	int result = sys_socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);

	if (result < 0)
		return result;

	OWN_FD mine = pair[0];
	OWN_FD theirs = pair[1];

	result = send_request(sock, &request, theirs);
	return result < 0 ? result : fd_steal(&mine);
}
