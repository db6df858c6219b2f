/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The socket protocol: a client that sends anything, with and without descriptors. The input is
 * messages, each a byte of flags, two of length, and the bytes; what is too short for a header gets
 * one that is right. With ON_PATHS the bytes are an operation on paths that is well formed: its
 * number, a flag and a mode in two bytes each, which folder each path begins in, where the first
 * path ends, and both paths. */
#include <errno.h>
#include <fcntl.h>
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
#include "fuse/ipc.h"
#include "fuse/loop.h"
#include "fuse/store.h"
#include "tests/scratch.h"

enum {
	WITH_HEADER = 1,
	WITH_FD = 2,
	WITH_SOCKET = 4,
	ON_PATHS = 8,
	TURNS = 4,
	MESSAGES_MAX = 16,
	FIXED = 8, /* bytes before the paths */
};

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
		char room[12288];
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

/* The folders that paths begin in. */
static struct wire_base bases[4];

static uint32_t pair_of(const uint8_t *data)
{
	return (uint32_t)data[0] << 8 | data[1];
}

static uint16_t clean_path(char *to, const uint8_t *from, size_t length)
{
	for (size_t i = 0; i < length; i++)
		to[i] = from[i] ? (char)from[i] : '/';
	return (uint16_t)length;
}

/* With bits of open(2) and renameat2(2) and our own all within reach of two bytes. */
static uint32_t flags_of(uint32_t bits)
{
	return (bits & 0xffff) | (bits & 0x10 ? O_TMPFILE : 0) | (bits & 0x20 ? O_PATH : 0);
}

static void send_on_paths(int sock, const uint8_t *data, size_t size)
{
	struct wire_request request = wire_request_make((enum wire_op)(
		WIRE_OP_PATHS + data[0] % (WIRE_OP_IPC - WIRE_OP_PATHS)));
	struct wire_places places = {.base = {bases[data[5] & 3], bases[data[5] >> 2 & 3]}};
	struct fdpass_sender self = {getpid(), geteuid(), getegid()};
	static char paths[2 * WIRE_PATH_MAX];
	struct iovec parts[] = {{&request, sizeof request}, {&places, sizeof places}, {paths, 0}};
	size_t first = pair_of(data + 6) % WIRE_PATH_MAX;

	request.flags = flags_of(pair_of(data + 1));
	request.mode = pair_of(data + 3);
	request.serial = request.mode;
	data += FIXED;
	size -= FIXED;
	first = first < size ? first : size;
	size = size - first < WIRE_PATH_MAX ? size - first : WIRE_PATH_MAX;
	places.length[0] = clean_path(paths, data, first);
	places.length[1] = clean_path(paths + first, data + first, size);
	parts[2].iov_len = first + size;
	fdpass_send(sock, parts, 3, -1, &self, MSG_DONTWAIT);
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
		if ((flags & ON_PATHS) && length >= FIXED)
			send_on_paths(sock, data, length);
		else
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

	insist(ipc_new(&options.ipc, &anon, NULL) == 0);
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
	ipc_free(options.ipc);
	loop_free(ticker.loop);
	close(ticker.source.fd);
}

static struct store_node *make(struct store *store, struct store_node *folder, const char *name,
                               mode_t mode, const char *content)
{
	struct store_birth birth = {
		.mode = mode,
		.uid = geteuid(),
		.gid = getegid(),
		.initial = content,
		.initial_length = strlen(content),
	};
	struct store_node *node;

	insist(store_create(store, folder, name, &birth, &node) == 0);
	return node;
}

/* Something of each kind. */
static void make_tree(struct store *store)
{
	struct store_node *root = store_root(store);
	struct store_node *folder = make(store, root, "d", S_IFDIR | 0777, "");
	struct store_node *deep = make(store, folder, "e", S_IFDIR | 0777, "");

	bases[1] = (struct wire_base){store_node_ino(folder), store_node_secret(folder)};
	bases[2] = (struct wire_base){store_node_ino(deep), store_node_secret(deep)};
	bases[3] = (struct wire_base){store_node_ino(deep), store_node_secret(deep) + 1};
	make(store, deep, "f", S_IFREG | 0666, "f");
	make(store, root, "l", S_IFLNK | 0777, "d/e/");
	make(store, deep, "o", S_IFLNK | 0777, "../../d/e/o");
	make(store, root, "p", S_IFIFO | 0666, "");
	make(store, folder, "w", S_IFLNK | 0777, "/w");
}

/* Whatever has been asked, the tree is one. */
static void check_tree(struct store *store)
{
	const struct store_entry *entry = store_entry_after(store, 0);
	char path[64];

	for (; entry; entry = store_entry_after(store, store_entry_cookie(entry))) {
		struct store_node *folder = store_entry_folder(entry);
		struct store_node *node = store_entry_node(entry);
		struct stat status;

		insist(store_lookup(store, folder, store_entry_name(entry)) == node);
		insist(store_node_stat(node, &status) == 0);
		insist(!S_ISDIR(status.st_mode) || store_node_parent(node) == folder);
		insist(store_node_path(folder, path, sizeof path) != -ENOENT);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store *store;

	if (!anon.kind)
		insist(anon_init(&anon, ANON_MEMFD, NULL, NULL, scratch_make().folder) == 0);
	insist(store_new(&store, memfd_create("journal", MFD_CLOEXEC), &anon, NULL) == 0);
	make_tree(store);
	serve(store, data, size);
	check_tree(store);
	store_discard(store);
	store_free(store);
	return 0;
}
