/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a connection gets its lane. */
#include <sys/mman.h>

#include "base/client.h"
#include "base/own.h"
#include "preload/boot.h"
#include "preload/known.h"
#include "preload/lanes.h"
#include "preload/lock.h"

static bool is_sealed(int file)
{
	int seals = sys_fcntl(file, F_GET_SEALS, 0);
	struct stat status;

	return seals >= 0 && (seals & F_SEAL_SHRINK) && sys_fstat(file, &status) == 0 &&
	       status.st_size == sizeof(struct lane);
}

static struct lane *map(int file)
{
	struct lane *lane;

	if (!is_sealed(file))
		return NULL;
	lane = sys_mmap(sizeof *lane, PROT_READ | PROT_WRITE, MAP_SHARED, file);
	if (sys_is_error(lane))
		return NULL;
	if (sys_call(SYS_madvise, (long)lane, sizeof *lane, MADV_DONTFORK, 0, 0, 0) == 0)
		return lane;
	sys_give(lane, sizeof *lane);
	return NULL;
}

/* An answer is there. Its file must not be in a child that is forked meanwhile. */
static int receive(int sock, const struct wire_request *request, struct lane **ret_lane)
{
	char text[1];
	struct client_answer answer = {.text = text, .text_room = sizeof text, .fd = -1};
	uint64_t before = lock_take();
	int result = client_ask_second(sock, request, &answer);

	if (result == 0 && answer.reply.result >= 0)
		*ret_lane = map(answer.fd);
	fd_close_at(&answer.fd);
	lock_leave(before);
	return result;
}

static int ask_for_lane(int sock, struct lane **ret_lane)
{
	static const struct client_places nowhere;
	struct wire_request request = wire_request_make(WIRE_ROADS);
	int result;

	request.header.version = WIRE_VERSION_LANE;
	request.flags = WIRE_WANT_LANE;
	result = client_ask_first(sock, &request, &nowhere);
	if (result == 0)
		result = receive(sock, &request, ret_lane);
	/* An older daemon knows of none. */
	if (result == -EPROTONOSUPPORT)
		lanes_give_up_all();
	/* There, and where the process's table is full, the line is in step. */
	return result == -EPROTONOSUPPORT || result == -EMFILE ? 0 : result;
}

int lanes_learn(struct line line)
{
	struct lane *lane = NULL;
	int result;

	if (!lanes_is_wanted(line) || boot_is_borrowed())
		return 0;
	result = ask_for_lane(line.sock, &lane);
	lanes_put(line, lane);
	if (lane)
		known_set_out();
	return result;
}
