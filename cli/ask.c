/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/client.h"
#include "base/own.h"
#include "base/place.h"
#include "cli/say.h"

static const char *asked_of; /* --dir, or NULL */

static int connect_at(const struct text *path)
{
	OWN_FD folder = -1;

	if (path->cut)
		return -ENAMETOOLONG;
	folder = place_open(path->bytes, geteuid());
	return folder < 0 ? folder : place_connect(folder, path->bytes, geteuid());
}

int ask_try_connect(const char *folder, struct text *ret_path)
{
	struct place_hints hints = {
		.shmemu_dir = folder ? folder : secure_getenv("SHMEMU_DIR"),
		.xdg_runtime_dir = secure_getenv("XDG_RUNTIME_DIR"),
		.tmpdir = secure_getenv("TMPDIR"),
	};
	struct text paths[PLACE_CANDIDATES_MAX];
	size_t count = place_candidates(&hints, geteuid(), paths);
	int result = -ENOENT;

	asked_of = folder;
	for (size_t i = 0; i < count && result < 0; i++) {
		result = connect_at(&paths[i]);
		*ret_path = paths[i];
	}
	return result;
}

int ask_connect_at(const char *folder, struct text *ret_path)
{
	int result = ask_try_connect(folder, ret_path);

	if (result == -ENOENT || result == -ECONNREFUSED)
		fail("no daemon serves %s: programs with the library start one, each user's their "
		     "own; SHMEMU_DIR or --dir names another folder", ret_path->bytes);
	if (result < 0)
		fail("cannot use the daemon's folder %s: %s", ret_path->bytes, strerror(-result));
	return result;
}

int ask_connect(const char *folder)
{
	struct text path;

	return ask_connect_at(folder, &path);
}

/* A worker that is killed before its keeper has a new connection takes that along, and has not seen
 * what is asked by it. Asked twice, none of what is asked here does any harm. */
static int connect_again(int sock)
{
	struct text path;
	OWN_FD again = ask_try_connect(asked_of, &path);

	if (again < 0)
		return again;
	return dup3(again, sock, O_CLOEXEC) < 0 ? -errno : 0;
}

/* What came, as 0 or -errno. */
static int ask(int sock, struct wire_request *request, struct client_answer *ret_answer)
{
	int result = client_ask(sock, request, ret_answer);

	if (result == -ECONNRESET && connect_again(sock) == 0)
		result = client_ask(sock, request, ret_answer);
	if (result == 0)
		result = ret_answer->reply.result;
	return result < 0 ? result : 0;
}

int ask_try_status(int sock, struct wire_status *ret_status)
{
	struct wire_request request = wire_request_make(WIRE_STATUS);
	struct client_answer answer;
	int result = ask(sock, &request, &answer);

	if (result == 0)
		*ret_status = answer.reply.status;
	return result;
}

_Noreturn void ask_fail(int result)
{
	fail("the daemon does not answer: %s", strerror(-result));
}

struct wire_status ask_status(int sock)
{
	struct wire_request request = wire_request_make(WIRE_STATUS);
	struct client_answer answer;
	int result = ask(sock, &request, &answer);

	if (result == -EPROTONOSUPPORT)
		fail("the daemon speaks version %u, and this tool %u to %u: use both from one "
		     "build", answer.reply.header.version, WIRE_VERSION_MIN, WIRE_VERSION);
	if (result < 0)
		ask_fail(result);
	return answer.reply.status;
}

int ask_try_room(int sock, uint32_t flags, struct wire_room *ret_room)
{
	struct wire_request request = wire_request_make(WIRE_ROOM);
	struct client_answer answer;
	int result;

	request.flags = flags;
	result = ask(sock, &request, &answer);
	if (result == 0)
		*ret_room = answer.reply.room;
	return result;
}

int ask_try_share(int sock, uint64_t from, struct wire_share *ret_share)
{
	struct wire_request request = wire_request_make(WIRE_LIMIT);
	struct client_answer answer;
	int result;

	request.mode = WIRE_LIMIT_SHARE;
	request.cursor = from;
	result = ask(sock, &request, &answer);
	if (result == 0)
		result = answer.reply.result;
	if (result > 0)
		*ret_share = answer.reply.share;
	return result;
}

int ask_try_roads(int sock, struct wire_roads *ret_roads, char *path, size_t room)
{
	struct wire_request request = wire_request_make(WIRE_ROADS);
	struct client_places places = {.paths = {NULL}};
	struct client_answer answer = {.text = path, .text_room = room};
	int result = client_ask_places(sock, &request, &places, &answer);

	if (result == 0)
		result = answer.reply.result;
	if (result >= 0)
		*ret_roads = answer.reply.roads;
	return result < 0 ? result : 0;
}

int ask_try_limits(int sock, uint32_t what, uint64_t value, struct wire_limits *ret_limits)
{
	struct wire_request request = wire_request_make(WIRE_LIMIT);
	struct client_answer answer;
	int result;

	request.mode = what;
	request.ino = value;
	result = ask(sock, &request, &answer);
	/* An older daemon was asked in its own version, in which there is no such thing. */
	if (result < 0 && request.header.version < WIRE_VERSION_NEW)
		return -EPROTONOSUPPORT;
	if (result == 0)
		*ret_limits = answer.reply.limits;
	return result;
}

int ask_limits(int sock, uint32_t what, uint64_t value, struct wire_limits *ret_limits)
{
	int result = ask_try_limits(sock, what, value, ret_limits);

	if (result == -EPROTONOSUPPORT)
		fail("the daemon is of an older version, and has no limits that can be changed: "
		     "'shmemu upgrade', or end it and start it anew");
	return result;
}
