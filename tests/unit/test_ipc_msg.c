/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Message queues of System V are Linux's: random calls by several users have the same results and
 * tell the same of queues, with the daemon killed or its turns rolled back at any time.
 * SHMEMU_TEST_STEPS says how many calls, SHMEMU_TEST_SEED with which seed. */
#include <limits.h>
#include <sys/ipc.h>
#include <sys/msg.h>

#include "tests/unit/ipc_world.h"

enum { KEYS = 3, IDS = 40, SIZE = 64 };

enum call { GET, SEND, RECEIVE, STAT, SET, REMOVE, INFO, CALLS };

struct case_of {
	enum call call;
	const struct user *user;
	int key, id, flags, command;
	long type;
	size_t size;
	char bytes[SIZE];
	struct msqid_ds set;
};

struct outcome {
	long result;
	long type;
	char bytes[SIZE];
	struct wire_ipc_stat stat;
	struct wire_ipc_info info;
};

static struct asking asking;
static int ids[IDS];

static struct case_of choose_case(void)
{
	static const int modes[] = {0600, 0666, 0640, 0400, 0222, 0, 0060, 0006};
	static const int stats[] = {IPC_STAT, IPC_STAT, MSG_STAT, MSG_STAT_ANY, 99};
	static const long types[] = {0, 1, 2, 3, -1, -2, -3, LONG_MIN, LONG_MAX};
	struct case_of one = {
		.call = (enum call)choose(CALLS),
		.user = &users[choose(USERS)],
		.key = choose(4) ? 4711 + choose(KEYS) : IPC_PRIVATE,
		.id = choose(30) ? ids[choose(IDS)] : choose(3) - 1,
		.size = (size_t)choose(SIZE),
		.type = 1 + choose(3),
		.flags = IPC_NOWAIT,
	};

	if (choose(3) == 0)
		one.call = choose(2) ? SEND : RECEIVE;
	for (size_t i = 0; i < one.size; i++)
		one.bytes[i] = (char)choose(256);
	switch (one.call) {
	case GET:
		one.flags = modes[choose(8)] | (choose(3) ? IPC_CREAT : 0) |
		            (choose(4) ? 0 : IPC_EXCL);
		break;
	case SEND:
		if (choose(20) == 0)
			one.type = -choose(2);
		break;
	case RECEIVE:
		one.type = types[choose(9)];
		one.flags |= (choose(2) ? MSG_NOERROR : 0) | (choose(4) ? 0 : MSG_EXCEPT) |
		             (choose(6) ? 0 : MSG_COPY);
		if ((one.flags & MSG_COPY) && choose(5) == 0)
			one.flags &= ~IPC_NOWAIT;
		break;
	case STAT:
		one.command = stats[choose(5)];
		if (one.command != IPC_STAT && choose(2))
			one.id = choose(8) - 1;
		break;
	case SET:
		one.set.msg_perm.uid = choose(20) ? users[choose(USERS)].uid : (uid_t)-1;
		one.set.msg_perm.gid = users[choose(USERS)].gid;
		one.set.msg_perm.mode = (unsigned short)modes[choose(8)];
		one.set.msg_qbytes = (msglen_t)(choose(8) ? choose(400) : 16384 + choose(2));
		break;
	default: one.command = choose(2) ? IPC_INFO : MSG_INFO; break;
	}
	return one;
}

static struct wire_ipc_stat describe(const struct msqid_ds *status)
{
	return (struct wire_ipc_stat){
		.key = status->msg_perm.__key,
		.uid = status->msg_perm.uid,
		.gid = status->msg_perm.gid,
		.cuid = status->msg_perm.cuid,
		.cgid = status->msg_perm.cgid,
		.mode = status->msg_perm.mode,
		.sequence = status->msg_perm.__seq,
		.size = status->msg_qbytes,
		.count = status->msg_qnum,
		.bytes = status->__msg_cbytes,
		.time = {status->msg_stime, status->msg_rtime, status->msg_ctime},
		.pid = {(uint32_t)status->msg_lspid, (uint32_t)status->msg_lrpid},
	};
}

static void ask_native(struct case_of *one, struct outcome *ret)
{
	struct { long type; char bytes[SIZE]; } message = {.type = one->type};
	struct msqid_ds status;
	struct msginfo info;

	memcpy(message.bytes, one->bytes, SIZE);
	become(one->user);
	switch (one->call) {
	case GET: ret->result = msgget(one->key, one->flags); break;
	case SEND: ret->result = msgsnd(one->id, &message, one->size, one->flags); break;
	case RECEIVE:
		ret->result = msgrcv(one->id, &message, one->size, one->type, one->flags);
		if (ret->result < 0)
			break;
		ret->type = message.type;
		memcpy(ret->bytes, message.bytes, (size_t)ret->result);
		break;
	case STAT:
		ret->result = msgctl(one->id, one->command, &status);
		if (ret->result >= 0)
			ret->stat = describe(&status);
		break;
	case SET: ret->result = msgctl(one->id, IPC_SET, &one->set); break;
	case REMOVE: ret->result = msgctl(one->id, IPC_RMID, NULL); break;
	default:
		ret->result = msgctl(0, one->command, (struct msqid_ds *)&info);
		ret->info = (struct wire_ipc_info){{
			(uint64_t)info.msgpool, (uint64_t)info.msgmap, (uint64_t)info.msgmax,
			(uint64_t)info.msgmnb, (uint64_t)info.msgmni, (uint64_t)info.msgssz,
			(uint64_t)info.msgtql, info.msgseg}};
		break;
	}
	if (ret->result < 0)
		ret->result = -errno;
	cr_assert_eq(seteuid(0), 0);
}

static void ask_ours(const struct case_of *one, struct outcome *ret)
{
	static const enum wire_op ops[CALLS] = {
		WIRE_IPC_GET, WIRE_MSG_SEND, WIRE_MSG_RECEIVE, WIRE_IPC_CONTROL, WIRE_IPC_CONTROL,
		WIRE_IPC_CONTROL, WIRE_IPC_CONTROL,
	};
	struct wire_ipc *asked = &asking.asked;
	struct wire_ipc_stat set;

	asking_init(&asking, ops[one->call], one->user);
	asked->family = WIRE_MSG;
	asked->id = one->call == GET ? one->key : one->call == INFO ? 0 : one->id;
	asked->flags = (uint32_t)one->flags;
	asked->type = one->type;
	asked->size = one->size;
	asked->command = one->call == SET ? IPC_SET
	                 : one->call == REMOVE ? IPC_RMID : one->command;
	asking.call.bytes = one->bytes;
	if (one->call == SEND)
		asked->length = (uint32_t)one->size;
	if (one->call == SET) {
		set = describe(&one->set);
		asking.call.bytes = &set;
		asked->length = sizeof set;
	}
	ret->result = perform(&asking);
	if (ret->result < 0 || ret->result == IPC_WAITS)
		return;
	if (one->call == RECEIVE) {
		cr_assert_eq(asking.call.told.length, ret->result);
		ret->type = asking.call.told.type;
		memcpy(ret->bytes, asking.text, asking.call.told.length);
	}
	if (one->call == STAT)
		memcpy(&ret->stat, asking.text, sizeof ret->stat);
	if (one->call == INFO)
		memcpy(&ret->info, asking.text, sizeof ret->info);
}

static bool is_near(int64_t a, int64_t b)
{
	return (a == 0) == (b == 0) && a - b <= 1 && b - a <= 1;
}

static void compare_stat(struct wire_ipc_stat *ours, const struct wire_ipc_stat *native)
{
	for (int i = 0; i < 3; i++) {
		cr_assert(is_near(ours->time[i], native->time[i]), "time %d", i);
		ours->time[i] = native->time[i];
	}
	ours->id = 0;
	ours->family = 0;
	cr_assert_arr_eq(ours, native, sizeof *ours);
}

Test(ipc_msg, as_linux)
{
	unsigned long steps = from_environment("SHMEMU_TEST_STEPS", 30000);
	int next = 0;

	if (!have_native())
		cr_skip_test("no IPC namespace, or not root");
	world_begin();
	is_disturbed = true;
	for (unsigned long i = 0; i < steps; i++) {
		struct case_of one = choose_case();
		struct outcome ours = {.result = 0};
		struct outcome native = {.result = 0};

		ask_ours(&one, &ours);
		ask_native(&one, &native);
		cr_assert_eq(ours.result, native.result,
		             "step %lu: call %d user %u id %d key %d flags %o command %d type %ld "
		             "size %zu: %ld, not %ld", i, one.call, one.user->uid, one.id, one.key,
		             one.flags, one.command, one.type, one.size, ours.result,
		             native.result);
		cr_assert_eq(ours.type, native.type);
		cr_assert_arr_eq(ours.bytes, native.bytes, SIZE);
		cr_assert_arr_eq(&ours.info, &native.info, sizeof ours.info);
		compare_stat(&ours.stat, &native.stat);
		if (one.call == GET && ours.result >= 0)
			ids[next++ % IDS] = (int)ours.result;
	}
	world_end();
}

static int64_t since = INT64_MAX;

static int ask(enum wire_op op, int id, int32_t command, uint32_t flags)
{
	asking_init(&asking, op, &users[1]);
	asking.asked.family = WIRE_MSG;
	asking.asked.id = id;
	asking.asked.command = command;
	asking.asked.flags = flags;
	asking.asked.type = 1;
	asking.asked.size = SIZE;
	asking.asked.since = since;
	asking.asked.length = op == WIRE_MSG_SEND ? 10 : 0;
	asking.call.bytes = "0123456789";
	return perform(&asking);
}

Test(ipc_msg, waits)
{
	int id;
	uint64_t serial;

	world_begin();
	id = ask(WIRE_IPC_GET, IPC_PRIVATE, 0, 0600);
	cr_assert_geq(id, 0);
	cr_assert_eq(ask(WIRE_MSG_RECEIVE, id, 0, 0), IPC_WAITS);
	serial = asking.call.waits_for;
	cr_assert_neq(serial, 0);
	cr_assert_eq(ipc_next_changed(ipc), 0);
	cr_assert_eq(ask(WIRE_MSG_SEND, id, 0, 0), 0);
	cr_assert_eq(ipc_next_changed(ipc), serial);
	cr_assert_eq(ask(WIRE_MSG_RECEIVE, id, 0, 0), 10);
	while (ask(WIRE_MSG_SEND, id, 0, IPC_NOWAIT) == 0)
		continue;
	cr_assert_eq(ask(WIRE_MSG_SEND, id, 0, IPC_NOWAIT), -EAGAIN);
	cr_assert_eq(ask(WIRE_MSG_SEND, id, 0, 0), IPC_WAITS);
	cr_assert_eq(asking.call.waits_for, serial);
	cr_assert_eq(ask(WIRE_IPC_CONTROL, id, IPC_RMID, 0), 0);
	cr_assert_eq(ask(WIRE_MSG_SEND, id, 0, 0), -EINVAL);
	since = 1;
	cr_assert_eq(ask(WIRE_MSG_SEND, id, 0, 0), -EIDRM);
	cr_assert(ipc_is_empty(ipc));
	cr_assert_eq(ipc_header(ipc)->garbage, 0);
	world_end();
}
