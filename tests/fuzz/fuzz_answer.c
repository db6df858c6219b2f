/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The library's end: what a daemon may answer. The first byte is the operation that was asked. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SERIAL = 7 };

/* The request's serial number is the time. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	(void)clock;
	*ret_now = (struct timespec){.tv_nsec = SERIAL};
	return 0;
}

static enum wire_op operation_of(const uint8_t *data)
{
	return (enum wire_op)(1 + data[0] % (WIRE_OP_COUNT - 1));
}

/* Every message is an answer, if its first byte says so with what a right one begins with; the end
 * of the connection comes after the last. */
static void answer(int sock, enum wire_op op, const uint8_t *data, size_t size)
{
	static union {
		struct wire_reply reply;
		char bytes[sizeof(struct wire_reply) + 255 * 8];
	} message;
	struct wire_header header = wire_request_make(op).header;

	if (wire_is_on_paths(op))
		header.op |= WIRE_ANSWER;
	while (size > 1) {
		size_t length = 1 + (size_t)data[0] / 2 * 8;

		if (length > size - 1)
			length = size - 1;
		memcpy(message.bytes, data + 1, length);
		if (data[0] & 1) {
			message.reply.header = header;
			message.reply.serial = SERIAL;
		}
		if (send(sock, &message, length, MSG_DONTWAIT) < 0)
			return;
		data += 1 + length;
		size -= 1 + length;
	}
}

/* An operation on paths; some ask for a file as well, and some have little room for the text. */
static int ask_on_paths(int sock, struct wire_request *request, uint8_t choice,
                        struct client_answer *reply)
{
	struct client_places places = {.places.length = {1, 1}, .paths = {"a", "b"}};
	int result;

	request->flags = choice & 1 ? WIRE_WANT_FILE : 0;
	reply->text_room = choice & 2 ? WIRE_TEXT_MAX + 1 : 1 + choice;
	reply->text = malloc(reply->text_room);
	result = client_ask_places(sock, request, &places, reply);
	if (result == 0 && strlen(reply->text) > reply->told.text_length)
		abort();
	free(reply->text);
	return result;
}

static void ask(const uint8_t *data, size_t size)
{
	struct wire_request request = wire_request_make(operation_of(data));
	struct wire_entry entries[WIRE_LIST_MAX];
	struct client_answer reply = {.entries = entries};
	int pair[2];
	int result;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	answer(pair[1], request.header.op, data + 1, size - 1);
	shutdown(pair[1], SHUT_WR);
	if (wire_is_on_paths(request.header.op))
		result = ask_on_paths(pair[0], &request, data[0], &reply);
	else
		result = client_ask(pair[0], &request, &reply);
	if (result == 0 && reply.fd >= 0)
		close(reply.fd);
	close(pair[0]);
	close(pair[1]);
}

static void judge(const uint8_t *data, size_t size)
{
	static char room[sizeof(struct wire_reply) + WIRE_LIST_MAX * sizeof(struct wire_entry) +
	                 WIRE_TEXT_MAX];
	struct wire_reply *reply = (struct wire_reply *)(void *)room;
	const struct wire_told *told = (const struct wire_told *)(void *)(reply + 1);
	struct wire_header asked = wire_request_make(operation_of(data)).header;
	bool on_paths = wire_is_on_paths(asked.op);

	if (size > sizeof room)
		size = sizeof room;
	memcpy(room, data, size);
	reply->header = asked;
	if (on_paths)
		reply->header.op |= WIRE_ANSWER;
	if (wire_check_reply(reply, size, &asked, on_paths ? told : NULL) < 0)
		return;
	if (asked.op == WIRE_LIST && reply->result > WIRE_LIST_MAX)
		abort();
	if (on_paths && (told->text_length > WIRE_TEXT_MAX ||
	                 told->text_length + sizeof *reply + sizeof *told != size))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	ask(data, size);
	judge(data, size);
	return 0;
}
