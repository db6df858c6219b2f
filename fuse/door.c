/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One connection, one request at a time, one answer. A connection holds no state of the store's: it
 * may be cut at any moment and nothing is lost but itself. A client that asks on without reading
 * its answers is cut, so that no answer ever waits in the daemon.
 *
 * The keeper has every connection too, and a request stays in its socket until it is answered: it
 * is peeked at, and taken out last. So when the worker is killed its successor finds the request
 * there and serves it, as the store's turn has it, once: the client notices nothing but the time.
 * What it may get is the same answer twice, which it knows by the serial number.
 *
 * What comes with a descriptor that we did not ask for is never taken out: it may be one whose last
 * close takes for ever. Such a connection is cut, and goes to disposal.c as it is. */
#include "fuse/door.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "base/lane.h"
#include "base/own.h"
#include "base/wire.h"
#include "fuse/creator.h"
#include "fuse/disposal.h"
#include "fuse/door_i.h"
#include "fuse/journal.h"
#include "fuse/keep.h"
#include "fuse/loop.h"
#include "fuse/patience.h"
#include "fuse/share.h"
#include "fuse/store.h"

enum {
	OVERFLOW_UID = 65534,
	CRASHES_MAX = 2,
	SEND_ATTEMPTS = 100,
	RETRY_MILLISECONDS = 20,
};

static bool is_idle(const struct door *door)
{
	return !door->connection_count && !store_names(door->store) &&
	       (!door->options.ipc || ipc_is_empty(door->options.ipc));
}

static void rearm_idle(struct door *door)
{
	struct itimerspec when = {
		.it_value.tv_sec = is_idle(door) ? door->options.idle_seconds : 0,
	};

	if (door->options.idle_seconds)
		timerfd_settime(door->idle.fd, 0, &when, NULL);
}

static void note_alone(const struct door *door)
{
	if (!door->connection_count && door->options.alone)
		door->options.alone(door->options.details);
}

/* With a descriptor table that was full, the listener was taken out of the loop: see
 * accept_connection. */
static int resume_accepting(struct loop_source *source, uint32_t events)
{
	struct door *door = (struct door *)((char *)source - offsetof(struct door, retry));
	uint64_t times;

	(void)events;
	if (read(source->fd, &times, sizeof times) == sizeof times && !door->accepting)
		door->accepting = loop_add(door->loop, &door->listener, EPOLLIN) == 0;
	return 0;
}

static void pause_accepting(struct door *door, int milliseconds)
{
	struct itimerspec soon = {
		.it_value = {milliseconds / 1000, milliseconds % 1000 * 1000000},
	};

	if (timerfd_settime(door->retry.fd, 0, &soon, NULL) < 0)
		return;
	loop_remove(door->loop, &door->listener);
	door->accepting = false;
}

/* That an asker has ended is heard before all that is asked: others may know of it already. */
static int watch(struct connection *connection)
{
	struct loop *loop = connection->door->loop;
	int result = loop_add(loop, &connection->source, EPOLLIN);

	if (result < 0)
		return result;
	result = loop_add_first(loop, &connection->source, EPOLLRDHUP);
	if (result < 0)
		loop_remove(loop, &connection->source);
	return result;
}

static void unwatch(struct connection *connection)
{
	loop_remove(connection->door->loop, &connection->source);
	loop_remove_first(connection->door->loop, &connection->source);
}

/* Its end shows at once to the client, though the keeper has it too and another thread closes it.
 * */
void connection_free(struct connection *connection)
{
	struct door *door = connection->door;

	door_ipc_forget(connection);
	door_lane_end(connection, LANE_CUT);
	*connection->link = connection->next;
	if (connection->next)
		connection->next->link = connection->link;
	unwatch(connection);
	shutdown(connection->source.fd, SHUT_RDWR);
	if (door->keep)
		keep_drop(door->keep, KEEP_CONNECTION, connection->number);
	disposal_close(connection->source.fd);
	shares_remove(&door->shares, connection->uid);
	if (door->options.ipc)
		ipc_connection_ended(door->options.ipc, connection->number);
	free(connection);
	door->connection_count--;
	note_alone(door);
	rearm_idle(door);
}

const struct store_creator *call_creator(struct call *call)
{
	struct store_creator *known = &call->connection->creator;

	if (known->pid != (uint32_t)call->sender.pid || known->uid != call->sender.uid)
		*known = creator_describe(call->sender.pid, call->sender.uid);
	return known;
}

void call_tell_limits(struct call *call)
{
	store_limited_devices(call->connection->door->store, call->sender.uid,
	                      &call->reply.roads.limited, &call->reply.roads.limited_share);
}

static int connection_admit(struct door *door, int sock, uid_t uid);

static bool has_socket(const struct door *door, int sock)
{
	struct stat wanted, status;

	if (fstat(sock, &wanted) < 0)
		return false;
	for (const struct connection *connection = door->connections; connection;
	     connection = connection->next)
		if (fstat(connection->source.fd, &status) == 0 &&
		    status.st_ino == wanted.st_ino && status.st_dev == wanted.st_dev)
			return true;
	return false;
}

static int call_adopt(struct call *call)
{
	struct door *door = call->connection->door;
	int result;

	/* The worker that was killed had it already. Twice, and what is asked there would be done
	 * twice. */
	if (store_turn_is_again(door->store) && has_socket(door, call->passed))
		return 0;
	result = connection_admit(door, call->passed, call->sender.uid);
	if (result == 0)
		call->passed = -1;
	return result;
}

static int (*const operations[WIRE_OP_IPC])(struct call *call) = {
	[WIRE_OPEN] = call_open,
	[WIRE_UNLINK] = call_unlink,
	[WIRE_LIST] = call_list,
	[WIRE_STATUS] = call_status,
	[WIRE_ROOM] = call_room,
	[WIRE_ADOPT] = call_adopt,
	[WIRE_LIMIT] = call_limit,
	[WIRE_TRADE] = call_trade,
	[WIRE_ROADS] = call_roads,
	[WIRE_LOOKUP] = call_lookup,
	[WIRE_OPEN_PATH] = call_open_path,
	[WIRE_MAKE] = call_make,
	[WIRE_SYMLINK] = call_symlink,
	[WIRE_LINK] = call_link,
	[WIRE_RENAME] = call_rename,
	[WIRE_REMOVE] = call_remove,
	[WIRE_READLINK] = call_readlink,
	[WIRE_READ_FOLDER] = call_read_folder,
	[WIRE_PATH_OF] = call_path_of,
	[WIRE_LINK_FILE] = call_link_file,
};

/* The daemon's own full table is the system's to the client, whose own table is not. */
static int as_client_sees(int result)
{
	return result == -EMFILE ? -ENFILE : result;
}

/* In older versions they are shorter. */
static size_t pack_entries(struct wire_entry *entries, size_t count, unsigned version)
{
	size_t size = wire_entry_size(version);

	for (size_t i = 1; i < count && size < sizeof *entries; i++)
		memmove((char *)entries + i * size, &entries[i], size);
	return count * size;
}

static bool has_unread_answer(const struct connection *connection)
{
	int unread = 0;

	return ioctl(connection->source.fd, SIOCOUTQ, &unread) == 0 && unread > 0;
}

/* Who asks has read the answer before, unless it came twice: see the top. */
static bool may_send(struct connection *connection)
{
	bool restored = connection->restored;

	connection->restored = false;
	return restored || !has_unread_answer(connection);
}

/* The same for what comes by a lane, before anything is done: not all is answered by the socket. */
static bool may_send_later(struct connection *connection)
{
	if (connection->restored || !connection->has_sent)
		return true;
	connection->has_sent = has_unread_answer(connection);
	return !connection->has_sent;
}

static int send_parts(struct call *call)
{
	struct door *door = call->connection->door;
	size_t entries = call->request->header.op == WIRE_LIST && call->reply.result > 0 ?
		(size_t)call->reply.result : 0;
	struct iovec parts[4] = {
		{&call->reply, sizeof call->reply},
		{door->entries, pack_entries(door->entries, entries,
		                             call->request->header.version)},
	};
	int attempts = SEND_ATTEMPTS;
	int result;

	if (call->reply.header.op & WIRE_ANSWER && wire_is_ipc(call->request->header.op)) {
		parts[2] = (struct iovec){&call->ipc_told, sizeof call->ipc_told};
		parts[3] = (struct iovec){door->bytes, call->ipc_told.length};
	} else if (call->reply.header.op & WIRE_ANSWER) {
		parts[2] = (struct iovec){&call->told, sizeof call->told};
		parts[3] = (struct iovec){door->text, call->told.text_length};
	}

	/* What was done is not to be asked again for want of a little memory. */
	while ((result = fdpass_send(call->connection->source.fd, parts, 4, call->fd, NULL,
	                             MSG_DONTWAIT)) == -ENOMEM && attempts-- > 0)
		poll(NULL, 0, 1);
	return result;
}

static int send_reply(struct call *call)
{
	int result = send_parts(call);

	/* As long as we had it open, a lock on it would outlive the client's. */
	if (call->request->header.op == WIRE_MQ_OPEN && call->fd >= 0)
		patience_close(call->ipc_told.handle.number, fd_steal(&call->fd),
		               PATIENCE_LONG_MS);
	else
		fd_close_at(&call->fd);
	return result;
}

/* Only what comes with a descriptor is sent. */
static int answer_by_lane(struct call *call)
{
	bool is_sent = call->fd >= 0;
	int result = is_sent ? send_parts(call) : 0;

	if (is_sent) {
		call->connection->restored = store_turn_is_again(call->connection->door->store);
		call->connection->has_sent = true;
	}
	if (result == 0)
		lane_answer(call->lane, is_sent ? LANE_SENT : LANE_ANSWERED,
		            is_sent ? NULL : &call->reply);
	fd_close_at(&call->fd);
	return result;
}

/* A message that was sent before we asked for credentials on its socket carries none: the kernel
 * then says pid 0 and the overflow uid, which must not pass for the user nobody. */
static bool is_known(const struct fdpass_sender *sender)
{
	return sender->uid != (uid_t)-1 && (sender->pid > 0 || sender->uid != OVERFLOW_UID);
}

static int perform(struct call *call, int checked)
{
	const struct wire_header *header = &call->request->header;
	struct connection *connection = call->connection;
	struct store *store = connection->door->store;
	const struct journal *journal = store_journal(store);
	int result = checked;

	/* The socket that another is handed over by may be in use meanwhile. */
	if (call->lane ? !may_send_later(connection) :
	                 header->op != WIRE_ADOPT && !call->is_retry && !may_send(connection))
		return -EPROTO;
	if (result == 0 && !is_known(&call->sender))
		result = -EACCES;
	JOURNAL_SET(journal, journal->header->requests, journal->header->requests + 1);
	if (store_turn_begin(store, connection->number, call->request->serial))
		connection->restored = true;
	if (result == 0)
		result = wire_is_ipc(header->op) ? call_ipc(call) : operations[header->op](call);
	else if (wire_is_ipc(header->op) && connection->door->options.ipc)
		ipc_refuse(connection->door->options.ipc, call->request);
	if (result == IPC_WAITS)
		return CALL_WAITS;
	if (result < 0)
		fd_close_at(&call->fd);
	call->reply.header = (struct wire_header){WIRE_MAGIC, header->version, header->op};
	if (checked == -EPROTONOSUPPORT)
		call->reply.header.version = WIRE_VERSION;
	else if (wire_is_on_paths(header->op) || wire_is_ipc(header->op))
		call->reply.header.op |= WIRE_ANSWER;
	if (call->fd >= 0)
		call_tell_limits(call);
	call->reply.result = wire_is_ipc(header->op) ? result : as_client_sees(result);
	call->reply.serial = call->request->serial;
	/* Whoever hands over a socket may share the one that it hands it over by, and nobody
	 * reads there. */
	if (header->op == WIRE_ADOPT)
		return 0;
	return call->lane ? answer_by_lane(call) : send_reply(call);
}

/* Takes the request out of the socket: its answer is through. Out of a lane it is, and what is left
 * to do has the time that its client needs for the next. */
static void take_out(struct call *call)
{
	if (call->lane) {
		call->connection->door->is_unfinished = true;
		return;
	}
	while (disposal_message(call->connection->source.fd) == -ENOMEM)
		poll(NULL, 0, 1);
	if (wire_is_ipc(call->request->header.op))
		call_ipc_done(call, true);
	store_turn_end(call->connection->door->store);
}

int call_perform(struct call *call, int checked)
{
	int result = perform(call, checked);

	if (result == 0)
		take_out(call);
	else if (result == CALL_WAITS)
		store_turn_end(call->connection->door->store);
	else if (wire_is_ipc(call->request->header.op))
		call_ipc_done(call, false);
	return result;
}

int call_answer(struct call *call, size_t size)
{
	int checked = wire_check_request(call->request, size);

	/* A descriptor comes with what takes one, and with nothing else. */
	if (checked == -EPROTO ||
	    (call->passed >= 0) != (checked == 0 && wire_takes_file(call->request->header.op)))
		return -EPROTO;
	return call_perform(call, checked);
}

/* Whatever goes wrong with a connection ends that connection, and nothing else. */
static int serve(struct loop_source *source, uint32_t events)
{
	struct connection *connection = (struct connection *)source;
	struct door *door = connection->door;
	struct iovec part = {&door->message, sizeof door->message};
	struct call call = {
		.connection = connection,
		.request = &door->message.request,
		.passed = -1,
		.fd = -1,
	};
	ssize_t size;
	int result;

	if (connection->pending) {
		door_ipc_hear(connection, events);
		door_ipc_retry(door);
		return 0;
	}
	memset(&door->message.request, 0, sizeof door->message.request);
	size = fdpass_receive(source->fd, &part, 1, &call.passed, &call.sender,
	                      MSG_DONTWAIT | MSG_PEEK);
	if (size == -EAGAIN)
		return 0;
	door_lane_wake(connection);
	result = size <= 0 ? -ECONNRESET : call_answer(&call, (size_t)size);
	if (result == CALL_WAITS)
		door_ipc_wait(&call, (size_t)size);
	else if (result < 0)
		connection_free(connection);
	disposal_close(call.passed);
	fd_close_at(&call.fd);
	door_ipc_retry(door);
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

/* Takes the socket on success. */
static int connection_new(struct door *door, uint64_t number, int sock, uid_t uid)
{
	struct connection *connection = calloc(1, sizeof *connection);
	int result;

	if (!connection)
		return -ENOMEM;
	connection->source = (struct loop_source){.fd = sock, .handle = serve};
	connection->door = door;
	connection->number = number;
	connection->uid = uid;
	result = watch(connection);
	if (result < 0) {
		free(connection);
		return result;
	}
	connection->next = door->connections;
	connection->link = &door->connections;
	if (connection->next)
		connection->next->link = &connection->next;
	door->connections = connection;
	door->connection_count++;
	shares_add(&door->shares, uid);
	rearm_idle(door);
	return 0;
}

/* Takes the socket on success: before its first request is served the keeper has it. */
static int connection_admit(struct door *door, int sock, uid_t uid)
{
	uint64_t number = journal_next_connection(store_journal(door->store));
	int on = 1;
	int result = 0;

	if (!is_seqpacket(sock) || setsockopt(sock, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0)
		return -EPROTO;
	if (!shares_allow(&door->shares, uid))
		return -EMFILE;
	if (door->keep)
		result = keep_put(door->keep, KEEP_CONNECTION, number, sock);
	if (result < 0)
		return result;
	result = connection_new(door, number, sock, uid);
	if (result < 0 && door->keep)
		keep_drop(door->keep, KEEP_CONNECTION, number);
	return result;
}

static uid_t connected_uid(int sock)
{
	struct ucred connected = {.uid = (uid_t)-1};
	socklen_t size = sizeof connected;

	getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &connected, &size);
	return connected.uid;
}

static int accept_connection(struct loop_source *source, uint32_t events)
{
	struct door *door = (struct door *)source;
	int wait = door->connection_count || !door->options.disturb ? 0 :
	           door->options.disturb(door->options.details);
	int sock;

	(void)events;
	if (wait > 0) {
		pause_accepting(door, wait);
		return 0;
	}
	sock = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (sock >= 0) {
		if (connection_admit(door, sock, connected_uid(sock)) < 0)
			disposal_close(sock);
		note_alone(door);
		return 0;
	}
	/* Waiting clients stay in the queue; the loop must not spin on them meanwhile. */
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
		pause_accepting(door, RETRY_MILLISECONDS);
	note_alone(door);
	return 0;
}

int door_restore(struct door *door, uint64_t number, int sock)
{
	int result = connection_new(door, number, sock, connected_uid(sock));

	if (result == 0) {
		door->connections->restored = true;
		if (door->options.ipc)
			ipc_restore_connection(door->options.ipc, number);
		return 0;
	}
	disposal_close(sock);
	if (door->keep)
		keep_drop(door->keep, KEEP_CONNECTION, number);
	return result;
}

bool connection_peek(const struct connection *connection, struct door_head *ret_head,
                     bool *ret_is_ipc)
{
	ssize_t size;

	while ((size = recv(connection->source.fd, ret_head, sizeof *ret_head,
	                    MSG_PEEK | MSG_DONTWAIT)) < 0 && errno == ENOMEM)
		poll(NULL, 0, 1);
	*ret_is_ipc = connection->door->options.ipc && size == sizeof *ret_head &&
	              wire_is_ipc(ret_head->request.header.op);
	return size >= (ssize_t)sizeof ret_head->request;
}

/* Is this what is in its socket? A turn that was cut off behind its answer has left it, and what
 * may be there by now is the next: that comes after all that has happened meanwhile. */
static bool asks(const struct connection *connection, uint64_t serial, bool *ret_is_ipc)
{
	struct door_head head;

	return connection_peek(connection, &head, ret_is_ipc) && head.request.serial == serial &&
	       (!*ret_is_ipc || ipc_is_turn(connection->door->options.ipc, &head.request));
}

/* Serves what the earlier worker has begun, which may have been a request in a lane. */
static void resume(struct connection *connection, const struct journal_turn *turn, bool is_asked)
{
	/* A request that has killed one worker after the other is not to kill the next. */
	if (turn->crashes >= CRASHES_MAX)
		connection_free(connection);
	else if (is_asked && !door_ipc_resume(connection, turn->serial))
		serve(&connection->source, EPOLLIN);
	else if (!is_asked)
		door_lane_resume(connection, turn->serial);
}

void door_restore_end(struct door *door)
{
	const struct journal_turn *turn = &store_journal(door->store)->header->turn;
	struct connection *connection = NULL;
	bool is_asked;
	bool is_ipc = false;

	if (turn->active && turn->asker)
		connection = door->connections;
	while (connection && connection->number != turn->asker)
		connection = connection->next;
	is_asked = connection && asks(connection, turn->serial, &is_ipc);
	/* Before a queue is taken for one that nobody needs. */
	door_ipc_recall(door);
	if (door->options.ipc)
		ipc_restore_end(door->options.ipc, is_asked && is_ipc);
	if (connection)
		resume(connection, turn, is_asked);
	/* Of the kernel's requests fs.c sees to itself. */
	if (turn->active && turn->asker)
		store_turn_end(door->store);
	if (door->options.ipc)
		ipc_restore_done(door->options.ipc);
	/* Who has ended meanwhile waits for nothing, and holds nothing. */
	loop_hear_first(door->loop);
	door_ipc_restore(door, serve);
	door_restore_lanes_end(door);
	note_alone(door);
}

static int idle_out(struct loop_source *source, uint32_t events)
{
	struct door *door = (struct door *)((char *)source - offsetof(struct door, idle));

	(void)events;
	if (is_idle(door))
		loop_stop(door->loop);
	return 0;
}

/* A timer that is not set yet. */
static int watch_timer(struct door *door, struct loop_source *timer,
                       int (*handle)(struct loop_source *source, uint32_t events))
{
	timer->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	timer->handle = handle;
	return timer->fd < 0 ? -errno : loop_add(door->loop, timer, EPOLLIN);
}

int door_new(struct door **ret_door, struct loop *loop, struct store *store, struct keep *keep,
             int listener, const struct door_options *options)
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
		.retry = {.fd = -1},
		.clocks = {{.fd = -1}, {.fd = -1}},
		.lingers = {.fd = -1},
		.loop = loop,
		.store = store,
		.keep = keep,
		.shares = {.max = options->connections_of_user},
		.options = *options,
	};
	result = loop_add(loop, &door->listener, EPOLLIN);
	door->accepting = result == 0;
	if (result == 0)
		result = watch_timer(door, &door->retry, resume_accepting);
	if (result == 0 && options->idle_seconds)
		result = watch_timer(door, &door->idle, idle_out);
	if (result == 0)
		result = door_ipc_begin(door);
	door_lanes_begin(door);
	if (result == 0)
		rearm_idle(door);
	if (result < 0)
		door_free(door);
	else
		*ret_door = door;
	return result;
}

/* The keeper is not told: its connections are the next worker's. */
struct door *door_free(struct door *door)
{
	if (!door)
		return NULL;
	door->keep = NULL;
	while (door->connections) {
		struct connection *connection = door->connections;

		door->connections = connection->next;
		door_ipc_leave(connection);
		door_lane_leave(connection);
		unwatch(connection);
		disposal_close(connection->source.fd);
		free(connection);
	}
	shares_deinit(&door->shares);
	door_ipc_end(door);
	if (door->idle.fd >= 0)
		loop_remove(door->loop, &door->idle);
	if (door->retry.fd >= 0)
		loop_remove(door->loop, &door->retry);
	if (door->accepting)
		loop_remove(door->loop, &door->listener);
	fd_close_at(&door->idle.fd);
	fd_close_at(&door->retry.fd);
	fd_close_at(&door->listener.fd);
	free(door);
	return NULL;
}
