/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/client.h"
#include "base/own.h"
#include "base/place.h"
#include "cli/say.h"

enum { LIMIT_VERSION = 4 };

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

	for (size_t i = 0; i < count && result < 0; i++) {
		result = connect_at(&paths[i]);
		*ret_path = paths[i];
	}
	return result;
}

int ask_connect(const char *folder)
{
	struct text path;
	int result = ask_try_connect(folder, &path);

	if (result == -ENOENT || result == -ECONNREFUSED)
		fail("no daemon serves %s: programs with the library start one, each user's their "
		     "own; SHMEMU_DIR or --dir names another folder", path.bytes);
	if (result < 0)
		fail("cannot use the daemon's folder %s: %s", path.bytes, strerror(-result));
	return result;
}

static void ask(int sock, struct wire_request *request, struct client_answer *ret_answer)
{
	int result = client_ask(sock, request, ret_answer);

	if (result == -EPROTONOSUPPORT)
		fail("the daemon speaks version %u, and this tool %u to %u: use both from one "
		     "build", ret_answer->reply.header.version, WIRE_VERSION_MIN, WIRE_VERSION);
	if (result == 0)
		result = ret_answer->reply.result;
	if (result < 0)
		fail("the daemon does not answer: %s", strerror(-result));
}

struct wire_status ask_status(int sock)
{
	struct wire_request request = wire_request_make(WIRE_STATUS);
	struct client_answer answer;

	ask(sock, &request, &answer);
	return answer.reply.status;
}

int ask_limits(int sock, uint32_t what, uint64_t value, struct wire_limits *ret_limits)
{
	struct wire_request request = wire_request_make(WIRE_LIMIT);
	struct client_answer answer;
	int result;

	request.mode = what;
	request.ino = value;
	result = client_ask(sock, &request, &answer);
	if (result == 0)
		result = answer.reply.result;
	/* An older daemon was asked in its own version, in which there is no such thing. */
	if (result < 0 && (result == -EPROTONOSUPPORT || request.header.version < LIMIT_VERSION))
		fail("the daemon is of an older version, and has no limits that can be changed: "
		     "'shmemu upgrade', or end it and start it anew");
	if (result == 0)
		*ret_limits = answer.reply.limits;
	return result;
}
