/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/ipc_ask.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <unistd.h>

#include "base/look.h"
#include "fuse/keep.h"
#include "tests/scratch.h"

struct ipc *ipc;
struct ask_host ask_host = {
	.limits = {
		.shmmax = UINT64_MAX - (1 << 24), .shmall = UINT64_MAX - (1 << 24), .shmmni = 4096,
		.semmsl = 32000, .semmns = 1024000000, .semopm = 500, .semmni = 32000,
	},
	.next_id = -1,
};
char ipc_text[WIRE_BYTES_MAX];

static struct anon anon;
static struct scratch scratch;
static uint64_t connections;

/* Large enough for what is asked, and as the door has it. */
struct message {
	struct wire_request request;
	struct wire_ipc asked;
	char bytes[WIRE_BYTES_MAX];
};

struct ipc_limits ipc_limits_read(void)
{
	return ask_host.limits;
}

void ipc_limits_refresh(struct ipc_limits *limits, enum wire_family family)
{
	*limits = ask_host.limits;
}

int32_t ipc_limits_next_id(enum wire_family family)
{
	return ask_host.next_id;
}

gid_t ipc_limits_huge_group(void)
{
	return ask_host.huge_group;
}

void ipc_ask_init(enum anon_kind kind, uint64_t size)
{
	struct tmpfs_plan plan = {.size = size};

	scratch = scratch_make();
	if (anon_init(&anon, kind, "/tmp", &plan, scratch.folder) < 0)
		cr_skip_test("this host has no %s files", anon_kind_name(kind));
	cr_assert_eq(ipc_new(&ipc, &anon, NULL), 0);
}

int ipc_ask_restart(void)
{
	int arena = fcntl(ipc->arena.fd, F_DUPFD_CLOEXEC, 0);
	int result = arena < 0 ? -errno : 0;

	ipc = ipc_free(ipc);
	if (result == 0)
		result = ipc_new(&ipc, &anon, NULL);
	if (result == 0)
		result = ipc_restore(ipc, KEEP_ARENA, 0, arena);
	if (result == 0)
		ipc_restore_end(ipc, false);
	return result;
}

void ipc_ask_deinit(void)
{
	if (ipc) {
		ipc_discard(ipc);
		ipc = ipc_free(ipc);
		anon_leave_seat(&anon, scratch.folder);
		anon_deinit(&anon);
	}
	scratch_remove(&scratch);
}

static bool is_in_group(const struct store_actor *actor, gid_t gid)
{
	(void)actor;
	(void)gid;
	return false;
}

static bool is_capable(const struct store_actor *actor, int capability)
{
	const struct asker *asker = actor->details;

	return asker->capabilities & 1ULL << capability;
}

static struct ipc_call call_of(struct asker *asker, struct message *message)
{
	return (struct ipc_call){
		.request = &message->request,
		.asked = &message->asked,
		.bytes = message->bytes,
		.peer = &asker->peer,
		.connection = asker->connection,
		.passed = -1,
		.text = ipc_text,
		.fd = -1,
	};
}

static void note(struct asker *asker, const struct ipc_call *call, int result)
{
	asker->result = result;
	asker->told = call->told;
	if (asker->fd >= 0)
		close(asker->fd);
	asker->fd = call->fd;
}

static void stop_waiting(struct asker *asker)
{
	if (!asker->waits)
		return;
	asker->waits = false;
	ipc_waiter_remove(ipc, &asker->waiter);
	free((void *)(uintptr_t)asker->call.request);
}

/* As the door does. */
static bool retry(struct asker *asker)
{
	int result;

	asker->call.fd = -1;
	result = ipc_perform(ipc, &asker->call);
	if (result == IPC_WAITS) {
		asker->waiter.blocked_on = asker->call.blocked_on;
		return false;
	}
	note(asker, &asker->call, result);
	stop_waiting(asker);
	ipc_commit(ipc);
	return true;
}

static bool retry_some(uint64_t serial, bool looks)
{
	struct ipc_waiter *waiter = ipc_waiter_first(ipc, serial);

	for (; waiter; waiter = ipc_waiter_after(waiter, serial)) {
		bool only_looks = waiter->op == WIRE_SEM_OP && ipc_sem_only_looks(waiter->asked);
		char *place = (char *)waiter - offsetof(struct asker, waiter);

		if (only_looks == looks && retry((struct asker *)(void *)place))
			return true;
	}
	return false;
}

static void serve_waiters(void)
{
	uint64_t serial;

	while ((serial = ipc_next_changed(ipc)))
		while (retry_some(serial, true) || retry_some(serial, false))
			;
}

static void wait_on(struct asker *asker, const struct ipc_call *call)
{
	asker->call = *call;
	asker->waits = true;
	asker->waiter = (struct ipc_waiter){
		.serial = call->waits_for,
		.connection = call->connection,
		.op = call->request->header.op,
		.blocked_on = call->blocked_on,
		.since = call->asked->since,
		.deadline = call->asked->deadline,
		.pid = (uint32_t)asker->peer.pid,
		.asked = call->asked,
	};
	ipc_waiter_add(ipc, &asker->waiter);
}

static int ask_once(struct asker *asker, struct message *message)
{
	struct ipc_call call = call_of(asker, message);
	int result = ipc_perform(ipc, &call);

	if (result < 0 || result == IPC_WAITS)
		cr_assert(!ipc_is_dirty(ipc), "what fails or waits changes nothing");
	if (result == IPC_WAITS)
		wait_on(asker, &call);
	else
		ipc_commit(ipc);
	note(asker, &call, result);
	return result;
}

int ask_ipc_op(struct asker *asker, enum wire_op op, struct wire_ipc asked, const void *bytes)
{
	struct message *message = malloc(sizeof *message);
	struct ipc_call call = call_of(asker, message);
	int first;
	int result;

	cr_assert(!asker->waits);
	message->request = wire_request_make(op);
	message->asked = asked;
	message->asked.presence = op == WIRE_IPC_PRESENT ? asked.presence : asker->presence;
	message->asked.since = (int64_t)look_now();
	if (asked.length)
		memcpy(message->bytes, bytes, asked.length);
	first = ipc_perform(ipc, &call);
	ipc_roll_back(ipc);
	if (call.fd >= 0)
		close(call.fd);
	result = ask_once(asker, message);
	cr_assert_eq(first, result, "served again: %d, then %d", first, result);
	cr_assert_eq(memcmp(&call.told, &asker->told, sizeof call.told), 0);
	if (result != IPC_WAITS)
		free(message);
	serve_waiters();
	return result;
}

static void be_present(struct asker *asker, const struct wire_handle *parent)
{
	struct wire_ipc asked = {.presence = parent ? *parent : (struct wire_handle){0}};

	asker->connection += 1ULL << 32;
	cr_assert_eq(ask_ipc_op(asker, WIRE_IPC_PRESENT, asked, NULL), 0);
	asker->presence = asker->told.handle;
	asker->connection -= 1ULL << 32;
}

static void prepare(struct asker *asker, pid_t pid, uid_t uid, gid_t gid, uint64_t capabilities)
{
	*asker = (struct asker){
		.peer = {
			.actor = {
				.uid = uid,
				.gid = gid,
				.details = asker,
				.in_group = is_in_group,
				.has_capability = is_capable,
			},
			.pid = pid,
			.sock = -1,
		},
		.connection = ++connections,
		.capabilities = capabilities,
		.fd = -1,
	};
}

void asker_init(struct asker *asker, pid_t pid, uid_t uid, gid_t gid, uint64_t capabilities)
{
	prepare(asker, pid, uid, gid, capabilities);
	be_present(asker, NULL);
}

/* The presence is asked for by the parent, on a connection of its own. */
void asker_fork(struct asker *asker, struct asker *parent, pid_t pid)
{
	struct wire_ipc asked = {.flags = WIRE_PRESENT_CHILD};

	prepare(asker, parent->peer.pid, parent->peer.actor.uid, parent->peer.actor.gid,
	        parent->capabilities);
	be_present(asker, &parent->presence);
	asker->peer.pid = pid;
	asked.presence = asker->presence;
	asker->connection += 1ULL << 32;
	cr_assert_eq(ask_ipc_op(asker, WIRE_IPC_PRESENT, asked, NULL), 0);
	asker->connection -= 1ULL << 32;
}

void asker_end(struct asker *asker)
{
	stop_waiting(asker);
	ipc_connection_ended(ipc, asker->connection);
	ipc_connection_ended(ipc, asker->connection + (1ULL << 32));
	if (asker->fd >= 0)
		close(asker->fd);
	asker->fd = -1;
	serve_waiters();
}

int ask_get(struct asker *asker, uint32_t family, int32_t key, uint64_t size, uint32_t flags)
{
	struct wire_ipc asked = {.family = family, .id = key, .size = size, .flags = flags};

	return ask_ipc_op(asker, WIRE_IPC_GET, asked, NULL);
}

int ask_control(struct asker *asker, uint32_t family, int32_t id, int32_t command)
{
	struct wire_ipc asked = {.family = family, .id = id, .command = command};

	return ask_ipc_op(asker, WIRE_IPC_CONTROL, asked, NULL);
}

struct wire_ipc_stat ask_status(struct asker *asker, uint32_t family, int32_t id)
{
	struct wire_ipc_stat stat;

	cr_assert_eq(ask_control(asker, family, id, IPC_STAT), 0);
	cr_assert_eq(asker->told.length, sizeof stat);
	memcpy(&stat, ipc_text, sizeof stat);
	return stat;
}
