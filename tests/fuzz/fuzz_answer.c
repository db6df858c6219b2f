/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The library's end: what a daemon may answer. The first byte is the operation that was asked. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every message is an answer; the end of the connection comes after the last. */
static void answer(int sock, const uint8_t *data, size_t size)
{
	while (size > 1) {
		size_t length = 1 + (size_t)data[0] * 8;

		if (length > size - 1)
			length = size - 1;
		if (send(sock, data + 1, length, MSG_DONTWAIT) < 0)
			return;
		data += 1 + length;
		size -= 1 + length;
	}
}

static void ask(const uint8_t *data, size_t size)
{
	struct wire_request request = wire_request_make((enum wire_op)(1 + data[0] % 5));
	struct wire_entry entries[WIRE_LIST_MAX];
	struct client_answer reply = {.entries = entries};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	answer(pair[1], data + 1, size - 1);
	shutdown(pair[1], SHUT_WR);
	if (client_ask(pair[0], &request, &reply) == 0 && reply.fd >= 0)
		close(reply.fd);
	close(pair[0]);
	close(pair[1]);
}

static void judge(const uint8_t *data, size_t size)
{
	static char room[sizeof(struct wire_reply) + WIRE_LIST_MAX * sizeof(struct wire_entry)];
	struct wire_reply *reply = (struct wire_reply *)(void *)room;
	struct wire_header asked = {WIRE_MAGIC, WIRE_VERSION, (uint16_t)(1 + data[0] % 5)};

	if (size > sizeof room)
		size = sizeof room;
	memcpy(room, data, size);
	reply->header = asked;
	if (wire_check_reply(reply, size, &asked) == 0 && asked.op == WIRE_LIST &&
	    reply->result > WIRE_LIST_MAX)
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
