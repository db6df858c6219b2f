/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The socket protocol: a client that sends anything, with and without descriptors. The input is
 * messages, each a byte of flags, two of length, and the bytes; what is too short for a header gets
 * one that is right. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "base/wire.h"
#include "fuse/anon.h"
#include "fuse/door.h"
#include "fuse/loop.h"
#include "fuse/store.h"

enum { WITH_HEADER = 1, WITH_FD = 2, WITH_SOCKET = 4, TURNS = 4, MESSAGES_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the loop when all others have had their turns. */
struct ticker {
	struct loop_source source; /* first: the loop hands it back */
	struct loop *loop;
	int left;
};

static struct anon anon;

static int tick(struct loop_source *source, uint32_t events)
{
	struct ticker *ticker = (struct ticker *)source;

	(void)events;
	if (ticker->left-- == 0)
		loop_stop(ticker->loop);
	return 0;
}

static void insist(int holds)
{
	if (!holds)
		abort();
}

static int make_listener(void)
{
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	insist(sock >= 0 && bind(sock, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0 &&
	       listen(sock, 8) == 0);
	return sock;
}

static void send_one(int sock, uint8_t flags, const uint8_t *data, size_t size)
{
	union {
		struct wire_request request;
		char room[8192];
	} message = {.request = wire_request_make(WIRE_OPEN)};
	size_t at = flags & WITH_HEADER ? sizeof(uint32_t) + sizeof(uint16_t) : 0;
	struct iovec part = {&message, sizeof message.request};
	int fd = flags & WITH_SOCKET ? socket(AF_UNIX, SOCK_SEQPACKET, 0)
	         : flags & WITH_FD   ? dup(sock) : -1;
	struct fdpass_sender self = {getpid(), geteuid(), getegid()};

	if (size > sizeof message - at)
		size = sizeof message - at;
	if (!at)
		part.iov_len = size;
	memcpy((char *)&message + at, data, size);
	fdpass_send(sock, &part, 1, fd, &self, MSG_DONTWAIT);
	if (fd >= 0)
		close(fd);
}

static int send_all(int sock, const uint8_t *data, size_t size)
{
	int count = 0;

	while (size > 3 && count < MESSAGES_MAX) {
		size_t length = (size_t)data[1] << 8 | data[2];
		uint8_t flags = data[0];

		data += 3;
		size -= 3;
		if (length > size)
			length = size;
		send_one(sock, flags, data, length);
		data += length;
		size -= length;
		count++;
	}
	return count;
}

static void serve(struct store *store, const uint8_t *data, size_t size)
{
	struct door_options options = {.connections_of_user = 8, .guard = true};
	struct ticker ticker = {.source = {.fd = eventfd(1, EFD_CLOEXEC), .handle = tick}};
	struct door *door;
	int on = 1;
	int pair[2];

	insist(loop_new(&ticker.loop) == 0);
	insist(door_new(&door, ticker.loop, store, NULL, make_listener(), &options) == 0);
	insist(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	insist(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
	insist(door_restore(door, 1, pair[1]) == 0);
	ticker.left = TURNS * (send_all(pair[0], data, size) + 1);
	insist(loop_add(ticker.loop, &ticker.source, EPOLLIN) == 0);
	loop_run(ticker.loop);
	close(pair[0]);
	door_free(door);
	loop_free(ticker.loop);
	close(ticker.source.fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store *store;

	if (!anon.kind)
		insist(anon_init(&anon, ANON_MEMFD, NULL, 0) == 0);
	insist(store_new(&store, memfd_create("journal", MFD_CLOEXEC), &anon, NULL) == 0);
	serve(store, data, size);
	store_free(store);
	return 0;
}
