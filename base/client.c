/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/client.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/client_i.h"
#include "base/fdpass.h"
#include "base/look.h"
#include "base/own.h"

/* Access is judged by the effective ids, as open(2) does; what the kernel attaches of itself are
 * the real ones. The kernel lets a process claim only ids that it may take on anyway. */
static struct fdpass_sender own_identity(void)
{
	return (struct fdpass_sender){sys_getpid(), sys_geteuid(), sys_getegid()};
}

enum { PARTS_MAX = 4 };

int client_send(int sock, const struct iovec *parts, size_t count, int fd)
{
	struct fdpass_sender self = own_identity();
	int result = fdpass_send(sock, parts, count, fd, &self, 0);

	/* Ids that this user namespace has no number for can't be claimed: let the kernel name
	 * them. */
	if (result == -EINVAL || result == -EPERM)
		result = fdpass_send(sock, parts, count, fd, NULL, 0);
	return result == -EPIPE ? -ECONNRESET : result;
}

static int send_request(int sock, const struct wire_request *request,
                        const struct client_places *places, int fd)
{
	struct iovec parts[PARTS_MAX] = {client_part(request, sizeof *request)};

	if (places) {
		parts[1] = client_part(&places->places, sizeof places->places);
		parts[2] = client_part(places->paths[0], places->places.length[0]);
		parts[3] = client_part(places->paths[1], places->places.length[1]);
	}
	return client_send(sock, parts, places ? PARTS_MAX : 1, fd);
}

int client_sleep(int sock)
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
	return result ? -EAGAIN : -ETIMEDOUT;
}

enum { STALE = 1, LANE_SLICE_NS = 20 * 1000 * 1000 };

/* Does an answer to this come with a file? */
static bool brings_file(const struct wire_request *request, const struct wire_reply *reply)
{
	if (reply->result < 0 ||
	    (wire_is_on_paths(request->header.op) && reply->result == WIRE_ELSEWHERE))
		return false;
	return wire_brings_file(request);
}

/* The request before may have been asked in another version. What refuses a version tells its own,
 * and nothing else of it is to be relied on. */
bool client_is_stale(const struct wire_request *request, const struct wire_reply *reply)
{
	unsigned version = reply->header.version;
	bool is_known = version == request->header.version ||
	                (wire_speaks(version) && reply->result != -EPROTONOSUPPORT);

	return reply->header.magic == WIRE_MAGIC && is_known && reply->header.op &&
	       reply->serial != request->serial;
}

static int check_answer(const struct wire_request *request, ssize_t size,
                        const struct client_answer *answer)
{
	const struct wire_told *told = wire_is_on_paths(request->header.op) ? &answer->told : NULL;
	int result = wire_check_reply(&answer->reply, (size_t)size, &request->header, told);

	/* A file comes with a successful open and its like, and with nothing else. */
	if (result == 0 && (answer->fd >= 0) != brings_file(request, &answer->reply))
		return -EPROTO;
	return result;
}

/* Where the parts of an answer go; their number. */
static size_t parts_of(const struct wire_header *header, struct client_answer *answer,
                       struct iovec parts[static PARTS_MAX])
{
	enum wire_op op = header->op;

	parts[0] = client_part(&answer->reply, sizeof answer->reply);
	if (op == WIRE_LIST) {
		parts[1] = client_part(answer->entries,
		                       WIRE_LIST_MAX * wire_entry_size(header->version));
		return 2;
	}
	if (!wire_is_on_paths(op))
		return 1;
	parts[1] = client_part(&answer->told, sizeof answer->told);
	parts[2] = client_part(answer->text, answer->text_room - 1);
	return 3;
}

/* Those of an older daemon are shorter, and lie close. */
static void spread_entries(struct wire_entry *entries, int count, unsigned version)
{
	size_t size = wire_entry_size(version);

	for (int i = count - 1; i >= 0 && size < sizeof *entries; i--) {
		memmove(&entries[i], (char *)entries + (size_t)i * size, size);
		memset((char *)&entries[i] + size, 0, sizeof *entries - size);
	}
}

static int receive_answer(int sock, const struct wire_request *request,
                          struct client_answer *ret_answer)
{
	struct iovec parts[PARTS_MAX];
	size_t count = parts_of(&request->header, ret_answer, parts);
	ssize_t size = fdpass_receive(sock, parts, count, &ret_answer->fd, NULL, MSG_DONTWAIT);
	bool whole = size >= (ssize_t)sizeof ret_answer->reply || size == -EMSGSIZE ||
	             size == -EMFILE;
	int result = (int)size;

	if (size == 0)
		return -ECONNRESET;
	/* Too long for this version's: another version's, by its header, or nonsense. */
	if (size == -EMSGSIZE)
		size = sizeof ret_answer->reply.header;
	if (whole && client_is_stale(request, &ret_answer->reply))
		result = STALE;
	else if (size > 0)
		result = check_answer(request, size, ret_answer);
	if (result)
		fd_close_at(&ret_answer->fd);
	else if (request->header.op == WIRE_LIST)
		spread_entries(ret_answer->entries, ret_answer->reply.result,
		               request->header.version);
	else if (wire_is_on_paths(request->header.op))
		ret_answer->text[ret_answer->told.text_length] = '\0';
	return result;
}

static int await_answer(int sock, const struct wire_request *request,
                        struct client_answer *ret_answer)
{
	struct look look = look_begin(false);
	int result;

	do {
		ret_answer->fd = -1;
		memset(&ret_answer->reply, 0, sizeof ret_answer->reply);
		result = receive_answer(sock, request, ret_answer);
		if (result == -EAGAIN && !look_again(&look))
			result = client_sleep(sock);
	} while (result == -EAGAIN || result == STALE);
	look_end(&look);
	return result;
}

static int ask_in(int sock, struct wire_request *request, const struct client_places *places,
                  struct client_answer *ret_answer)
{
	int result;

	ret_answer->fd = -1;
	request->serial = look_now();
	result = send_request(sock, request, places, places && places->file ? *places->file : -1);
	return result < 0 ? result : await_answer(sock, request, ret_answer);
}

int client_ask_first(int sock, struct wire_request *request, const struct client_places *places)
{
	int result;

	request->serial = look_now();
	result = send_request(sock, request, places, -1);
	if (result == 0)
		result = client_sleep(sock);
	return result == -EAGAIN ? 0 : result;
}

int client_ask_second(int sock, const struct wire_request *request,
                      struct client_answer *ret_answer)
{
	return await_answer(sock, request, ret_answer);
}

int client_ask_places(int sock, struct wire_request *request, const struct client_places *places,
                      struct client_answer *ret_answer)
{
	return ask_in(sock, request, places, ret_answer);
}

int client_ask(int sock, struct wire_request *request, struct client_answer *ret_answer)
{
	int result = ask_in(sock, request, NULL, ret_answer);
	unsigned theirs = ret_answer->reply.header.version;

	if (result == -EPROTONOSUPPORT && theirs < WIRE_VERSION && wire_speaks(theirs)) {
		request->header.version = (uint16_t)theirs;
		result = ask_in(sock, request, NULL, ret_answer);
	}
	return result;
}

static bool has_hung_up(int sock)
{
	struct pollfd line = {.fd = sock};
	struct timespec now = {0};

	return sys_poll(&line, 1, &now) != 0;
}

static bool is_pending(enum lane_state state)
{
	return state == LANE_ASKED || state == LANE_TAKEN;
}

/* Nobody may be there that knows of lanes, or at all. 0: it is to be looked at again. */
static int sleep_in_lane(struct lane *lane, int sock, uint64_t since)
{
	bool is_over;

	lane_sleep(lane, LANE_SLICE_NS);
	is_over = has_hung_up(sock);
	if (!is_pending(lane_look(lane)))
		return 0;
	if (is_over)
		return -ECONNRESET;
	if (look_now() - since < LANE_SLICE_NS)
		return 0;
	if (lane_give_up(lane))
		return -EAGAIN;
	return look_now() - since < CLIENT_PATIENCE_SECONDS * 1000000000ULL ? 0 : -ETIMEDOUT;
}

static int await_in_lane(struct lane *lane, int sock)
{
	struct look look = look_begin_surely();
	enum lane_state state;
	int result = 0;

	while (is_pending(state = lane_look(lane)) && result == 0)
		if (!look_again(&look))
			result = sleep_in_lane(lane, sock, look.since);
	look_end(&look);
	return result < 0 ? result : (int)state;
}

static int check_in_lane(const struct wire_request *request, bool opens,
                         struct client_answer *answer)
{
	const struct wire_reply *reply = &answer->reply;
	int result;

	if (client_is_stale(request, reply))
		return -EPROTO;
	result = wire_check_reply(reply, sizeof *reply, &request->header, NULL);
	if (result == 0 && opens && reply->result >= 0 && reply->created && reply->roads.number)
		return 0;
	if (result == 0)
		result = check_answer(request, sizeof *reply, answer);
	/* By the socket it is asked in what this one speaks. */
	return result == -EPROTONOSUPPORT ? -ESTALE : result;
}

int client_ask_lane(struct lane *lane, bool opens, int sock, struct wire_request *request,
                    struct client_answer *ret_answer)
{
	int state;
	int result;

	ret_answer->fd = -1;
	request->serial = look_now();
	if (!lane_ask(lane, request, opens))
		return -EAGAIN;
	state = await_in_lane(lane, sock);
	if (state < 0)
		return state;
	if (state == LANE_ANSWERED)
		memcpy(&ret_answer->reply, &lane->reply, sizeof ret_answer->reply);
	if (state != LANE_CUT)
		lane_done(lane);
	if (state == LANE_ANSWERED)
		result = check_in_lane(request, opens, ret_answer);
	else if (state == LANE_SENT)
		result = await_answer(sock, request, ret_answer);
	else
		result = state == LANE_REFUSED ? -ESTALE : -ECONNRESET;
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

	result = send_request(sock, &request, NULL, theirs);
	return result < 0 ? result : fd_steal(&mine);
}
