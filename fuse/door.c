/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One connection, one request at a time, one answer. A connection holds no state of the store's:
 * it may be cut at any moment and nothing is lost but itself. A client that asks on without
 * reading its answers is cut, so that no answer ever waits in the daemon. */
#include "fuse/door.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "base/own.h"
#include "base/wire.h"
#include "fuse/creator.h"
#include "fuse/loop.h"
#include "fuse/memory.h"
#include "fuse/peer.h"
#include "fuse/store.h"

enum {
	OVERFLOW_UID = 65534,
	/* Room for a longer request of another version, which is to be refused by its header. */
	REQUEST_ROOM = 4096,
};

struct door {
	struct loop_source listener; /* first: the handlers get a source */
	struct loop_source idle;
	struct loop *loop;
	struct store *store;
	struct connection *connections;
	uint64_t connection_count;
	uint64_t requests;
	unsigned idle_seconds;
	bool accepting;
	struct wire_entry entries[WIRE_LIST_MAX]; /* of the answer under way */
};

struct connection {
	struct loop_source source; /* first; its fd is owned */
	struct door *door;
	struct connection *next;
	struct connection **link; /* what points here */
	struct store_creator creator; /* of the last sender; pid 0: none yet */
};

/* What an operation gets, and what it leaves. */
struct call {
	struct connection *connection;
	const struct wire_request *request;
	struct fdpass_sender sender;
	int passed; /* the descriptor that came with it, or -1; owned by the dispatcher */
	struct wire_reply reply;
	int fd; /* the answer's, or -1; owned by the dispatcher */
};

static void rearm_idle(struct door *door)
{
	bool idle = !door->connection_count && !store_names(door->store);
	struct itimerspec when = {.it_value.tv_sec = idle ? door->idle_seconds : 0};

	if (door->idle_seconds)
		timerfd_settime(door->idle.fd, 0, &when, NULL);
}

/* With a descriptor table that was full, the listener was taken out of the loop: see
 * accept_connection. */
static void resume_accepting(struct door *door)
{
	if (!door->accepting && loop_add(door->loop, &door->listener, EPOLLIN) == 0)
		door->accepting = true;
}

static void connection_free(struct connection *connection)
{
	struct door *door = connection->door;

	*connection->link = connection->next;
	if (connection->next)
		connection->next->link = connection->link;
	loop_remove(door->loop, &connection->source);
	fd_close_at(&connection->source.fd);
	free(connection);
	door->connection_count--;
	rearm_idle(door);
}

static const struct store_creator *creator_of(struct call *call)
{
	struct store_creator *known = &call->connection->creator;

	if (known->pid != (uint32_t)call->sender.pid || known->uid != call->sender.uid)
		*known = creator_describe(call->sender.pid, call->sender.uid);
	return known;
}

static int call_open(struct call *call)
{
	const struct wire_request *request = call->request;
	struct store *store = call->connection->door->store;
	struct store_birth birth = {
		.mode = request->mode & 07777,
		.uid = call->sender.uid,
		.gid = call->sender.gid,
		.initial = request->initial,
		.initial_length = request->initial_length,
	};
	struct store_node *node = NULL;
	bool created = false;
	struct peer peer;
	int fd;

	peer_init(&peer, &call->sender, call->connection->source.fd);
	if ((request->flags & O_CREAT) && !store_lookup(store, request->name))
		birth.creator = *creator_of(call);
	fd = store_open(store, &peer.actor, request->name, (int)request->flags, &birth, &node,
	                &created);
	if (fd < 0)
		return fd;
	call->fd = fd;
	call->reply.ino = store_node_ino(node);
	call->reply.created = created;
	return 0;
}

static int call_unlink(struct call *call)
{
	struct peer peer;

	peer_init(&peer, &call->sender, call->connection->source.fd);
	return store_remove(call->connection->door->store, &peer.actor, call->request->name,
	                    call->request->ino);
}

static int describe_entry(const struct store_entry *entry, struct wire_entry *ret_entry)
{
	const struct store_node *node = store_entry_node(entry);
	struct store_creator creator;
	struct stat status;
	int result = store_node_stat(node, &status);

	if (result < 0)
		return result;
	store_node_creator(node, &creator);
	memset(ret_entry, 0, sizeof *ret_entry);
	ret_entry->cookie = store_entry_cookie(entry);
	ret_entry->ino = status.st_ino;
	ret_entry->size = (uint64_t)status.st_size;
	ret_entry->mode = status.st_mode;
	ret_entry->uid = status.st_uid;
	ret_entry->gid = status.st_gid;
	ret_entry->creator_pid = creator.pid;
	ret_entry->creator_start = creator.start;
	memcpy(ret_entry->creator_command, creator.command, sizeof creator.command);
	strcpy(ret_entry->name, store_entry_name(entry));
	return 0;
}

static int call_list(struct call *call)
{
	struct door *door = call->connection->door;
	const struct store_entry *entry = store_entry_after(door->store, call->request->cursor);
	int count = 0;

	while (entry && count < WIRE_LIST_MAX) {
		int result = describe_entry(entry, &door->entries[count]);

		if (result < 0)
			return result;
		count++;
		entry = store_entry_next(entry);
	}
	return count;
}

static int call_status(struct call *call)
{
	const struct door *door = call->connection->door;

	call->reply.status = (struct wire_status){
		.requests = door->requests,
		.connections = door->connection_count,
		.names = store_names(door->store),
		.inodes = store_inodes(door->store),
		.pid = (uint64_t)getpid(),
	};
	return 0;
}

static int call_room(struct call *call)
{
	struct memory memory;
	int result = memory_read(&memory);

	if (result < 0)
		return result;
	call->reply.room = (struct wire_room){
		.total = memory.total,
		.available = memory.available,
		.inodes = store_inodes(call->connection->door->store),
	};
	return 0;
}

static int connection_new(struct door *door, int sock);

static int call_adopt(struct call *call)
{
	if (call->passed < 0)
		return -EPROTO;
	return connection_new(call->connection->door, fd_steal(&call->passed));
}

static int (*const operations[WIRE_OP_COUNT])(struct call *call) = {
	[WIRE_OPEN] = call_open,
	[WIRE_UNLINK] = call_unlink,
	[WIRE_LIST] = call_list,
	[WIRE_STATUS] = call_status,
	[WIRE_ROOM] = call_room,
	[WIRE_ADOPT] = call_adopt,
};

/* The daemon's own full table is the system's to the client, whose own table is not. */
static int as_client_sees(int result)
{
	return result == -EMFILE ? -ENFILE : result;
}

static int send_reply(struct call *call)
{
	size_t entries = call->request->header.op == WIRE_LIST && call->reply.result > 0 ?
		(size_t)call->reply.result : 0;
	struct iovec parts[] = {
		{&call->reply, sizeof call->reply},
		{call->connection->door->entries, entries * sizeof(struct wire_entry)},
	};

	return fdpass_send(call->connection->source.fd, parts, 2, call->fd, NULL, MSG_DONTWAIT);
}

/* A message that was sent before we asked for credentials on its socket carries none: the kernel
 * then says pid 0 and the overflow uid, which must not pass for the user nobody. */
static bool is_known(const struct fdpass_sender *sender)
{
	return sender->uid != (uid_t)-1 && (sender->pid > 0 || sender->uid != OVERFLOW_UID);
}

static bool has_unread_answer(const struct connection *connection)
{
	int unread = 0;

	return ioctl(connection->source.fd, SIOCOUTQ, &unread) == 0 && unread > 0;
}

static int answer(struct call *call, size_t size)
{
	const struct wire_header *header = &call->request->header;
	int result = wire_check_request(call->request, size);

	if (result == -EPROTO)
		return result;
	/* The socket that another is handed over by may be in use meanwhile. */
	if (header->op != WIRE_ADOPT && has_unread_answer(call->connection))
		return -EPROTO;
	call->reply.header = (struct wire_header){WIRE_MAGIC, WIRE_VERSION, header->op};
	if (result == 0 && !is_known(&call->sender))
		result = -EACCES;
	call->connection->door->requests++;
	if (result == 0)
		result = operations[header->op](call);
	call->reply.result = as_client_sees(result);
	/* Whoever hands over a socket may share the one that it hands it over by, and nobody
	 * reads there. */
	return header->op == WIRE_ADOPT ? 0 : send_reply(call);
}

/* Whatever goes wrong with a connection ends that connection, and nothing else. */
static int serve(struct loop_source *source, uint32_t events)
{
	struct connection *connection = (struct connection *)source;
	struct door *door = connection->door;
	union {
		struct wire_request request;
		char room[REQUEST_ROOM];
	} message;
	struct iovec part = {&message, sizeof message};
	struct call call = {
		.connection = connection,
		.request = &message.request,
		.passed = -1,
		.fd = -1,
	};
	ssize_t size;

	(void)events;
	size = fdpass_receive(source->fd, &part, 1, &call.passed, &call.sender, MSG_DONTWAIT);
	if (size == -EAGAIN)
		return 0;
	if (size <= 0 || answer(&call, (size_t)size) < 0)
		connection_free(connection);
	fd_close_at(&call.passed);
	fd_close_at(&call.fd);
	/* A connection that ended has left a free number, and so has a segment that went. */
	resume_accepting(door);
	return 0;
}

static bool is_seqpacket(int sock)
{
	int type = 0;
	socklen_t size = sizeof type;
	int domain = 0;
	socklen_t domain_size = sizeof domain;

	return getsockopt(sock, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET &&
	       getsockopt(sock, SOL_SOCKET, SO_DOMAIN, &domain, &domain_size) == 0 &&
	       domain == AF_UNIX;
}

/* Takes the socket. */
static int connection_new(struct door *door, int sock)
{
	struct connection *connection;
	int on = 1;
	int result;

	if (!is_seqpacket(sock) || setsockopt(sock, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0) {
		close(sock);
		return -EPROTO;
	}
	connection = calloc(1, sizeof *connection);
	if (!connection) {
		close(sock);
		return -ENOMEM;
	}
	connection->source = (struct loop_source){.fd = sock, .handle = serve};
	connection->door = door;
	result = loop_add(door->loop, &connection->source, EPOLLIN);
	if (result < 0) {
		close(sock);
		free(connection);
		return result;
	}
	connection->next = door->connections;
	connection->link = &door->connections;
	if (connection->next)
		connection->next->link = &connection->next;
	door->connections = connection;
	door->connection_count++;
	rearm_idle(door);
	return 0;
}

static int accept_connection(struct loop_source *source, uint32_t events)
{
	struct door *door = (struct door *)source;
	int sock = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (sock >= 0)
		connection_new(door, sock);
	else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
		/* Waiting clients stay in the queue; the loop must not spin on them meanwhile.
		 * With no connection of ours to end, nothing would ever call us back: then let it
		 * spin. */
		if (door->connection_count) {
			loop_remove(door->loop, &door->listener);
			door->accepting = false;
		}
	}
	return 0;
}

static int idle_out(struct loop_source *source, uint32_t events)
{
	struct door *door = (struct door *)((char *)source - offsetof(struct door, idle));

	(void)events;
	if (!door->connection_count && !store_names(door->store))
		loop_stop(door->loop);
	return 0;
}

static int watch_idle(struct door *door)
{
	int result;

	door->idle = (struct loop_source){
		.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
		.handle = idle_out,
	};
	if (door->idle.fd < 0)
		return -errno;
	result = loop_add(door->loop, &door->idle, EPOLLIN);
	if (result == 0)
		rearm_idle(door);
	return result;
}

int door_new(struct door **ret_door, struct loop *loop, struct store *store, int listener,
             unsigned idle_seconds)
{
	struct door *door = calloc(1, sizeof *door);
	int result;

	if (!door) {
		close(listener);
		return -ENOMEM;
	}
	*door = (struct door){
		.listener = {.fd = listener, .handle = accept_connection},
		.idle = {.fd = -1},
		.loop = loop,
		.store = store,
		.idle_seconds = idle_seconds,
	};
	result = loop_add(loop, &door->listener, EPOLLIN);
	door->accepting = result == 0;
	if (result == 0 && idle_seconds)
		result = watch_idle(door);
	if (result < 0)
		door_free(door);
	else
		*ret_door = door;
	return result;
}

struct door *door_free(struct door *door)
{
	if (!door)
		return NULL;
	while (door->connections)
		connection_free(door->connections);
	if (door->idle.fd >= 0)
		loop_remove(door->loop, &door->idle);
	if (door->accepting)
		loop_remove(door->loop, &door->listener);
	fd_close_at(&door->idle.fd);
	fd_close_at(&door->listener.fd);
	free(door);
	return NULL;
}
