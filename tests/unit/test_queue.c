/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Queues do what a simple model of them does, and what Linux's own do where an IPC namespace can be
 * had; a turn that is rolled back has not been; no contents make them fail worse than with an
 * error. SHMEMU_TEST_STEPS says how many steps, SHMEMU_TEST_SEED with which seed. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/queue.h"

enum { COUNT_MAX = 40, SIZE_MAX_OF_ONE = 300, BYTES_MAX = 2000 };

struct model_message {
	int64_t type;
	size_t size;
	char bytes[SIZE_MAX_OF_ONE];
};

struct model {
	enum queue_kind kind;
	size_t count, count_max;
	struct model_message messages[BYTES_MAX + 1];
};

/* One call and its result. */
struct result {
	int64_t value;
	int64_t type;
	char bytes[SIZE_MAX_OF_ONE + 1];
};

static struct arena arena;
static uint64_t queue;
static struct model model, before;
static const struct queue_stamp stamp = {42, 1234567};
static unsigned seed;

static int choose(int below)
{
	return rand_r(&seed) % below;
}

static unsigned long from_environment(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : otherwise;
}

static void begin(enum queue_kind kind, size_t count_max)
{
	const struct arena_shape shape = {8 << 20, 1 << 16, 4096};
	int64_t at;

	seed = (unsigned)from_environment("SHMEMU_TEST_SEED", 1);
	cr_assert_eq(arena_init(&arena, memfd_create("arena", MFD_CLOEXEC), &shape), 0);
	at = queue_new(&arena, kind, BYTES_MAX, count_max, SIZE_MAX_OF_ONE - 10);
	cr_assert_gt(at, 0);
	arena_commit(&arena);
	queue = (uint64_t)at;
	model.kind = kind;
	model.count = 0;
	model.count_max = count_max;
}

static size_t model_bytes(void)
{
	size_t bytes = 0;

	for (size_t i = 0; i < model.count; i++)
		bytes += model.messages[i].size;
	return bytes;
}

static int64_t model_send(int64_t type, const char *bytes, size_t size)
{
	size_t place = model.count;

	if (size > SIZE_MAX_OF_ONE - 10)
		return model.kind == QUEUE_POSIX ? -EMSGSIZE : -EINVAL;
	if (model.kind == QUEUE_POSIX ? model.count == model.count_max
	                              : model_bytes() + size > BYTES_MAX)
		return -EAGAIN;
	while (model.kind == QUEUE_POSIX && place && model.messages[place - 1].type < type)
		place--;
	memmove(model.messages + place + 1, model.messages + place,
	        (model.count - place) * sizeof model.messages[0]);
	model.messages[place].type = type;
	model.messages[place].size = size;
	memcpy(model.messages[place].bytes, bytes, size);
	model.count++;
	return 0;
}

static size_t model_find(int64_t type, int flags)
{
	size_t found = model.count;

	if (model.kind == QUEUE_POSIX)
		return 0;
	if (flags & MSG_COPY)
		return type >= 0 && (size_t)type < model.count ? (size_t)type : model.count;
	for (size_t i = model.count; i-- > 0;) {
		int64_t here = model.messages[i].type;

		if (type == 0 || (type > 0 && (here == type) == !(flags & MSG_EXCEPT)) ||
		    (type < 0 && here <= (type == INT64_MIN ? INT64_MAX : -type) &&
		     (found == model.count || here <= model.messages[found].type)))
			found = i;
	}
	return found;
}

static void model_receive(int64_t type, int flags, size_t room, struct result *ret_result)
{
	size_t at = model_find(type, flags);
	const struct model_message *message = model.messages + at;

	ret_result->value = -EAGAIN;
	if (at >= model.count)
		return;
	ret_result->value = message->size > room && !(flags & MSG_NOERROR) ? -E2BIG : -EINVAL;
	if (message->size > room && (ret_result->value == -E2BIG || (flags & MSG_COPY)))
		return;
	ret_result->value = (int64_t)(message->size < room ? message->size : room);
	ret_result->type = message->type;
	memcpy(ret_result->bytes, message->bytes, (size_t)ret_result->value);
	if (flags & MSG_COPY)
		return;
	model.count--;
	memmove(model.messages + at, model.messages + at + 1,
	        (model.count - at) * sizeof model.messages[0]);
}

static void check_counts(void)
{
	const struct queue *now = arena_at(&arena, queue, sizeof *now);

	cr_assert_eq(now->count, model.count);
	cr_assert_eq(now->bytes, model_bytes());
	cr_assert_eq(now->first == 0, model.count == 0);
	cr_assert_eq(now->last == 0, model.count == 0);
}

struct call {
	bool sends;
	int64_t type;
	int flags;
	size_t size;
	char bytes[SIZE_MAX_OF_ONE];
};

static struct call choose_call(void)
{
	struct call call = {.sends = choose(100) < 52, .size = (size_t)choose(SIZE_MAX_OF_ONE)};

	if (choose(4))
		call.size %= 20;
	for (size_t i = 0; i < call.size; i++)
		call.bytes[i] = (char)choose(256);
	call.type = model.kind == QUEUE_POSIX ? choose(4) : 1 + choose(5);
	if (call.sends || model.kind == QUEUE_POSIX) {
		if (!call.sends)
			call.size = SIZE_MAX_OF_ONE - 10;
		return call;
	}
	if (choose(2))
		call.size = SIZE_MAX_OF_ONE;
	call.flags = (choose(2) ? MSG_NOERROR : 0) | (choose(3) ? 0 : MSG_EXCEPT);
	if (choose(5) == 0) {
		call.flags = MSG_COPY | (choose(2) ? MSG_NOERROR : 0);
		call.type = choose(12) - 1;
	} else if (choose(3) == 0) {
		call.type = choose(2) ? -call.type : 0;
	}
	if (choose(50) == 0)
		call.type = choose(2) && !(call.flags & MSG_COPY) ? INT64_MIN + choose(2) : 77;
	return call;
}

static struct result do_it(const struct call *call)
{
	const struct queue_wish wish = {call->type, call->flags, call->size};
	struct result result = {.type = 0};

	if (call->sends)
		result.value = queue_send(&arena, queue, call->type, call->bytes, call->size,
		                          &stamp);
	else
		result.value = queue_receive(&arena, queue, &wish, result.bytes, &result.type,
		                             &stamp);
	return result;
}

static void compare(const struct call *call, const struct result *got, const struct result *want)
{
	cr_assert_eq(got->value, want->value, "%s %lld flags %o size %zu: %lld, not %lld",
	             call->sends ? "send" : "receive", (long long)call->type, call->flags,
	             call->size, (long long)got->value, (long long)want->value);
	cr_assert_eq(got->type, want->type);
	cr_assert_arr_eq(got->bytes, want->bytes, sizeof got->bytes);
}

static void run_model(void)
{
	unsigned long steps = from_environment("SHMEMU_TEST_STEPS", 20000);

	for (unsigned long i = 0; i < steps; i++) {
		const struct call call = choose_call();
		struct result want = {.type = 0};
		struct result got;
		bool rolls_back = choose(8) == 0;

		if (rolls_back)
			memcpy(&before, &model, sizeof model);
		if (call.sends)
			want.value = model_send(call.type, call.bytes, call.size);
		else
			model_receive(call.type, call.flags, call.size, &want);
		got = do_it(&call);
		compare(&call, &got, &want);
		if (got.value < 0)
			cr_assert_not(arena_is_dirty(&arena), "a failure changes nothing");
		if (rolls_back) {
			arena_roll_back(&arena);
			memcpy(&model, &before, sizeof model);
		} else {
			arena_commit(&arena);
		}
		check_counts();
	}
	arena_deinit(&arena);
}

Test(queue, sysv_as_the_model)
{
	begin(QUEUE_SYSV, 0);
	run_model();
}

Test(queue, posix_as_the_model)
{
	begin(QUEUE_POSIX, COUNT_MAX);
	run_model();
}

Test(queue, posix_of_one)
{
	begin(QUEUE_POSIX, 1);
	run_model();
}

static struct result ask_sysv(int id, const struct call *call)
{
	struct {
		long type;
		char bytes[SIZE_MAX_OF_ONE];
	} message = {.type = call->type};
	struct result result = {.type = 0};

	if (call->sends) {
		memcpy(message.bytes, call->bytes, call->size);
		result.value = msgsnd(id, &message, call->size, IPC_NOWAIT) < 0 ? -errno : 0;
		return result;
	}
	result.value = msgrcv(id, &message, call->size, call->type, call->flags | IPC_NOWAIT);
	if (result.value < 0) {
		result.value = errno == ENOMSG ? -EAGAIN : -errno;
		return result;
	}
	result.type = message.type;
	memcpy(result.bytes, message.bytes, (size_t)result.value);
	return result;
}

static struct result ask_posix(mqd_t id, const struct call *call)
{
	struct result result = {.type = 0};
	unsigned priority = 0;

	if (call->sends) {
		result.value = mq_send(id, call->bytes, call->size, (unsigned)call->type);
		result.value = result.value < 0 ? -errno : 0;
		return result;
	}
	result.value = mq_receive(id, result.bytes, call->size, &priority);
	if (result.value < 0)
		result.value = -errno;
	result.type = priority;
	return result;
}

static void run_native(int id)
{
	unsigned long steps = from_environment("SHMEMU_TEST_STEPS", 20000);

	for (unsigned long i = 0; i < steps; i++) {
		const struct call call = choose_call();
		struct result got = do_it(&call);
		struct result want = model.kind == QUEUE_POSIX ? ask_posix(id, &call)
		                                               : ask_sysv(id, &call);

		/* msgmax is above what our queue takes. */
		if (call.sends && call.size > SIZE_MAX_OF_ONE - 10)
			want.value = got.value;
		compare(&call, &got, &want);
		arena_commit(&arena);
	}
	arena_deinit(&arena);
}

/* An own one: nothing is left of what is made in it. */
static bool have_namespace(void)
{
	return unshare(CLONE_NEWIPC) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWIPC) == 0;
}

Test(queue, sysv_as_linux)
{
	struct msqid_ds status;
	int id;

	if (!have_namespace())
		cr_skip_test("no IPC namespace");
	id = msgget(IPC_PRIVATE, 0600);
	if (id < 0 || msgctl(id, IPC_STAT, &status) < 0)
		cr_skip_test("no System V queues");
	status.msg_qbytes = BYTES_MAX;
	cr_assert_eq(msgctl(id, IPC_SET, &status), 0);
	begin(QUEUE_SYSV, 0);
	/* What is too large for ours would be in the other. */
	ARENA_SET(&arena, ((const struct queue *)arena_at(&arena, queue, sizeof(struct queue)))
	                          ->size_max, SIZE_MAX_OF_ONE);
	arena_commit(&arena);
	run_native(id);
	msgctl(id, IPC_RMID, NULL);
}

Test(queue, posix_as_linux)
{
	struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = SIZE_MAX_OF_ONE - 10};
	mqd_t id;

	if (!have_namespace())
		cr_skip_test("no IPC namespace");
	id = mq_open("/queue", O_CREAT | O_RDWR | O_NONBLOCK, 0600, &attributes);
	if (id < 0)
		cr_skip_test("no POSIX queues");
	begin(QUEUE_POSIX, 10);
	run_native(id);
	mq_unlink("/queue");
}

Test(queue, is_freed_with_its_messages)
{
	uint64_t first;
	unsigned turns = 0;

	begin(QUEUE_POSIX, 30);
	for (int i = 0; i < 30; i++)
		cr_assert_eq(queue_send(&arena, queue, i % 3, "text", 4, &stamp), 0);
	arena_commit(&arena);
	queue_free(&arena, queue, &first);
	arena_commit(&arena);
	for (; first; turns++) {
		first = queue_give(&arena, first, 8);
		arena_commit(&arena);
	}
	cr_assert_eq(turns, 4);
	arena_deinit(&arena);
}

static void spoil(void)
{
	static const uint64_t values[] = {0, 1, 8, 64, UINT64_MAX, INT64_MAX, 1ULL << 32};
	const struct queue *now = arena_at(&arena, queue, sizeof *now);
	uint64_t at = queue + 8 * (uint64_t)choose(sizeof *now / 8);
	uint64_t value = values[choose(sizeof values / sizeof values[0])];
	uint64_t message = choose(2) ? now->first : now->last;

	if (choose(2) && arena_at(&arena, message, sizeof(struct queue_message)) &&
	    message % 8 == 0)
		at = message + 8 * (uint64_t)choose(3);
	if (choose(3) == 0)
		value = queue + (uint64_t)choose(1 << 16);
	if (choose(3) == 0)
		value = now->first;
	memcpy(arena.bytes + at, &value, sizeof value);
}

/* Somebody else may write to the memory that it is in. */
Test(queue, survives_any_contents)
{
	for (int round = 0; round < 300; round++) {
		unsigned kept = seed;

		begin(round % 2 ? QUEUE_POSIX : QUEUE_SYSV, COUNT_MAX);
		seed = kept + 1;
		for (int i = 0; i < 200; i++) {
			const struct call call = choose_call();

			do_it(&call);
			arena_commit(&arena);
			if (i > 20 && choose(4) == 0)
				spoil();
		}
		arena_deinit(&arena);
	}
}
