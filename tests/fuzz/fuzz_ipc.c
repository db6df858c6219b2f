/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations on IPC, by three processes of two users, in any order, with whatever they may be
 * asked with; each is committed, rolled back, or rolled back and done again with the same outcome.
 * The input is records of FIXED bytes and a tail whose length the last of these says. */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/wire_ipc.h"
#include "fuse/anon.h"
#include "fuse/ipc_i.h"
#include "fuse/peer.h"
#include "tests/scratch.h"

enum { FIXED = 14, PROCESSES = 3, RECORDS_MAX = 400 };
enum { COMMIT, ROLL_BACK, AGAIN, END };
/* What has to be undone waits for nobody's end. */
enum { NO_PROCESS = 1 << 30 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct anon anon;
static struct wire_handle presences[PROCESSES];
static struct wire_handle queue;
static int queue_file;
static union {
	struct wire_request request;
	char room[sizeof(struct wire_request) + sizeof(struct wire_ipc) + 256 * 64];
} message;
static char text[WIRE_BYTES_MAX];

static void insist(int holds)
{
	if (!holds)
		abort();
}

static bool has_capability(const struct store_actor *actor, int capability)
{
	(void)capability;
	return actor->uid == 0;
}

/* A whole request; its size. */
static size_t make_request(const uint8_t *data, const uint8_t *tail)
{
	struct wire_ipc *asked = (struct wire_ipc *)(&message.request + 1);
	unsigned op = WIRE_OP_IPC + data[0] % (WIRE_OP_COUNT - WIRE_OP_IPC);
	uint32_t length = data[FIXED - 1];

	memset(&message, 0, sizeof message);
	message.request = wire_request_make((enum wire_op)op);
	message.request.mode = data[2];
	*asked = (struct wire_ipc){
		.presence = data[1] & 0x40 ? presences[data[1] % PROCESSES]
		                           : (struct wire_handle){0, 0},
		.queue = queue,
		.deadline = WIRE_NO_DEADLINE,
		.type = (int8_t)data[3],
		.size = (uint64_t)data[4] << (data[5] & 15),
		.family = data[6] % (WIRE_FAMILY_COUNT + 1),
		.id = (int8_t)data[7],
		.flags = (uint32_t)(data[8] << 8 | data[9]),
		.command = data[10] % 24,
		.number = (int8_t)data[11],
		.value = (int16_t)(data[12] << 8 | data[4]),
		.length = length,
	};
	/* As if it had come in pieces of that: long messages out of short inputs. */
	if (data[5] & 0x10) {
		asked->length *= 64;
		for (uint32_t at = 0; length && at < asked->length; at += length)
			memcpy((char *)(asked + 1) + at, tail, length);
	} else {
		memcpy(asked + 1, tail, length);
	}
	if (op == WIRE_MQ_OPEN || op == WIRE_MQ_UNLINK)
		wire_request_name(&message.request, "abcd", data[7] % 4);
	return sizeof message.request + sizeof *asked + asked->length;
}

static int perform(struct ipc *ipc, const uint8_t *data, struct ipc_call *ret_call)
{
	uid_t uid = data[1] & 0x20 ? 1000 : 0;
	unsigned process = data[1] % PROCESSES;
	static struct peer peer;

	peer = (struct peer){
		.actor = {.uid = uid, .gid = uid, .has_capability = has_capability},
		.pid = NO_PROCESS,
	};
	*ret_call = (struct ipc_call){
		.request = &message.request,
		.asked = wire_ipc_of(&message.request),
		.bytes = wire_ipc_of(&message.request) + 1,
		.peer = &peer,
		.connection = process + 1,
		.passed = message.request.header.op == WIRE_MQ_OF ? queue_file : -1,
		.text = text,
		.fd = -1,
	};
	return ipc_perform(ipc, ret_call);
}

static void check(struct ipc *ipc)
{
	if (!ipc->arena.bytes)
		return;
	insist(!arena_is_dirty(&ipc->arena));
	for (int family = WIRE_SHM; family < WIRE_FAMILY_COUNT; family++) {
		const struct ipc_object *object = NULL;
		uint64_t count = 0;

		while ((object = ipc_next(ipc, (enum wire_family)family, object)))
			count++;
		insist(count == ipc_header(ipc)->used[family]);
	}
}

static void keep_answer(const struct ipc_call *call, unsigned process)
{
	unsigned op = call->request->header.op;

	if (op == WIRE_IPC_PRESENT)
		presences[process] = call->told.handle;
	if (op == WIRE_MQ_OPEN) {
		queue = call->told.handle;
		if (queue_file >= 0)
			close(queue_file);
		queue_file = call->fd;
	} else if (call->fd >= 0) {
		close(call->fd);
	}
}

static void run_one(struct ipc *ipc, const uint8_t *data, const uint8_t *tail)
{
	unsigned process = data[1] % PROCESSES;
	unsigned end = data[1] >> 2 & 3;
	struct ipc_call call;
	int before;
	int result;

	if (end == END && data[0] % 8 == 0) {
		ipc_connection_ended(ipc, process + 1);
		return;
	}
	if (wire_check_request(&message.request, make_request(data, tail)) < 0)
		return;
	result = perform(ipc, data, &call);
	if (end == ROLL_BACK || end == AGAIN) {
		ipc_roll_back(ipc);
		if (call.fd >= 0)
			close(call.fd);
		if (end == ROLL_BACK)
			return;
		before = result;
		result = perform(ipc, data, &call);
		insist(result == before);
	}
	insist(call.told.length <= sizeof text);
	ipc_commit(ipc);
	if (result >= 0 && result != IPC_WAITS)
		keep_answer(&call, process);
	while (ipc_next_changed(ipc))
		continue;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipc *ipc;

	/* As in the daemon: a registrant may be gone. */
	signal(SIGPIPE, SIG_IGN);
	if (!anon.kind)
		insist(anon_init(&anon, ANON_MEMFD, NULL, NULL, scratch_make().folder) == 0);
	insist(ipc_new(&ipc, &anon, NULL) == 0);
	memset(presences, 0, sizeof presences);
	queue = (struct wire_handle){0, 0};
	queue_file = -1;
	for (int i = 0; i < RECORDS_MAX && size >= FIXED && size - FIXED >= data[FIXED - 1]; i++) {
		size_t length = (size_t)FIXED + data[FIXED - 1];

		run_one(ipc, data, data + FIXED);
		check(ipc);
		data += length;
		size -= length;
	}
	if (queue_file >= 0)
		close(queue_file);
	for (uint64_t connection = 1; connection <= PROCESSES; connection++)
		ipc_connection_ended(ipc, connection);
	check(ipc);
	insist(!ipc->arena.bytes || ipc_header(ipc)->presences == 0);
	ipc_discard(ipc);
	ipc_free(ipc);
	return 0;
}
