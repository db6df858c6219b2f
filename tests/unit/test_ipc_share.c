/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Queues and semaphores that clients work on by themselves are the same as those that the daemon
 * works on, whoever does what next, with the daemon killed at any time, also in the middle of
 * taking what there is back or of giving it out. SHMEMU_TEST_STEPS says how many calls. */
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/semwords.h"
#include "base/slots.h"
#include "fuse/ipc_share.h"
#include "tests/unit/ipc_world.h"

enum { DEPTH = 300, SIZE = 40, SEMAPHORES = 3, MQ_DEPTH = 8, QBYTES = 2000, OTHERS = 1000 };

/* What there is to be. */
struct model {
	struct { int64_t type; unsigned number; size_t size; } message[DEPTH];
	int count;
	size_t bytes;
};

static struct object {
	enum wire_family family;
	int id;
	struct wire_handle queue;
	void *memory;
	size_t size;
	struct slots slots;
	struct semwords words;
	struct model model;
	int value[SEMAPHORES];
} objects[] = {{.family = WIRE_MSG}, {.family = WIRE_MQ}, {.family = WIRE_SEM}};

static struct asking asking;
static struct wire_handle presence;
static const struct queue_stamp stamp = {77, 1};
static const struct queue_stamp *const now = &stamp;
static uint64_t others = OTHERS;
static unsigned last_number;
static struct { int quick, slow, kills, claims; } seen;

static void ask_begin(enum wire_op op, const struct object *object)
{
	asking_init(&asking, op, &users[0]);
	asking.asked.presence = presence;
	asking.asked.family = object->family;
	asking.asked.id = object->id;
	asking.asked.queue = object->queue;
	asking.asked.flags = object->family == WIRE_MQ ? O_NONBLOCK : IPC_NOWAIT;
}

static struct wire_handle present(uint64_t connection)
{
	asking_init(&asking, WIRE_IPC_PRESENT, &users[0]);
	asking.call.connection = connection;
	cr_assert_eq(ipc_perform(ipc, &asking.call), 0);
	ipc_commit(ipc);
	return asking.call.told.handle;
}

static void forget(struct object *object)
{
	if (object->memory)
		munmap(object->memory, object->size);
	object->memory = NULL;
}

static void share(struct object *object)
{
	ask_begin(WIRE_IPC_SHARE, object);
	cr_assert_eq(perform(&asking), 0);
	object->size = asking.call.told.size;
	object->memory = mmap(NULL, object->size, PROT_READ | PROT_WRITE, MAP_SHARED,
	                      asking.call.fd, 0);
	close(asking.call.fd);
	cr_assert_neq(object->memory, MAP_FAILED);
	if (object->family == WIRE_SEM)
		cr_assert_eq(semwords_view(&object->words, object->memory, object->size), 0);
	else
		cr_assert_eq(slots_view(&object->slots, object->memory, object->size), 0);
}

static bool is_gone(const struct object *object)
{
	return object->family == WIRE_SEM ? object->words.head->gone : object->slots.head->gone;
}

static bool is_full(const struct object *object, size_t size)
{
	const struct model *model = &object->model;

	return object->family == WIRE_MQ ? model->count == MQ_DEPTH :
	       model->bytes + size > QBYTES || model->count == DEPTH;
}

static void send_one(struct object *object)
{
	struct model *model = &object->model;
	unsigned text[SIZE / sizeof(unsigned)] = {++last_number};
	size_t size = sizeof *text + (size_t)choose(SIZE - sizeof *text);
	int64_t type = object->family == WIRE_MQ ? choose(3) : 1 + choose(3);
	int wanted = is_full(object, size) ? -EAGAIN : 0;
	int result = SLOTS_ASK;

	if (object->memory && choose(4))
		result = slots_send(&object->slots, presence.number & WIRE_OWNER_MASK, type, text,
		                    size, now);
	seen.quick += result != SLOTS_ASK;
	if (result == SLOTS_ASK) {
		ask_begin(object->family == WIRE_MQ ? WIRE_MQ_SEND : WIRE_MSG_SEND, object);
		asking.asked.type = type;
		asking.asked.number = (int32_t)type;
		asking.asked.length = (uint32_t)size;
		asking.call.bytes = text;
		result = perform(&asking);
		result = result == IPC_WAITS ? -EAGAIN : result;
		seen.slow++;
	}
	cr_assert_eq(result, wanted, "send: %d, not %d", result, wanted);
	if (result < 0)
		return;
	model->message[model->count].type = type;
	model->message[model->count].number = last_number;
	model->message[model->count++].size = size;
	model->bytes += size;
}

/* Which is to come; -1: none. */
static int next_of(const struct object *object, int64_t wish)
{
	const struct model *model = &object->model;
	int best = -1;

	for (int i = 0; i < model->count; i++) {
		int64_t type = model->message[i].type;

		if (object->family == WIRE_MQ) {
			if (best < 0 || type > model->message[best].type)
				best = i;
		} else if (wish < 0) {
			if (type <= -wish && (best < 0 || type < model->message[best].type))
				best = i;
		} else if ((!wish || type == wish) && best < 0) {
			best = i;
		}
	}
	return best;
}

static void take_from_model(struct object *object, int at)
{
	struct model *model = &object->model;

	model->bytes -= model->message[at].size;
	memmove(&model->message[at], &model->message[at + 1],
	        (size_t)(--model->count - at) * sizeof model->message[0]);
}

static int receive_slowly(const struct object *object, int64_t wish, void *text, int64_t *ret_type)
{
	int result;

	ask_begin(object->family == WIRE_MQ ? WIRE_MQ_RECEIVE : WIRE_MSG_RECEIVE, object);
	asking.asked.type = wish;
	asking.asked.size = SIZE;
	result = perform(&asking);
	*ret_type = asking.call.told.type;
	if (result >= 0)
		memcpy(text, asking.text, asking.call.told.length);
	seen.slow++;
	if (result == IPC_WAITS || result == -ENOMSG)
		return -EAGAIN;
	return result < 0 ? result : (int)asking.call.told.length;
}

static void receive_one(struct object *object)
{
	unsigned text[SIZE / sizeof(unsigned)];
	const struct queue_wish wish = {choose(2) ? 0 : choose(6) - 2, 0, SIZE};
	int at = next_of(object, wish.type);
	bool ask = true;
	int64_t type;
	int64_t result = 0;

	if (object->memory && choose(4))
		result = slots_receive(&object->slots, &wish, text, &type, now, &ask);
	seen.quick += !ask;
	if (ask)
		result = receive_slowly(object, wish.type, text, &type);
	cr_assert_eq(result, at < 0 ? -EAGAIN : (int64_t)object->model.message[at].size);
	if (at < 0)
		return;
	cr_assert_eq(type, object->model.message[at].type);
	cr_assert_eq(text[0], object->model.message[at].number);
	take_from_model(object, at);
}

static void operate(struct object *object)
{
	struct sembuf one = {(unsigned short)choose(SEMAPHORES), (short)(choose(5) - 2),
	                     IPC_NOWAIT};
	int *value = &object->value[one.sem_num];
	int after = *value + one.sem_op;
	int wanted = after < 0 || (!one.sem_op && *value) ? -EAGAIN : 0;
	int result = SEMWORDS_ASK;

	if (object->memory && choose(4))
		result = semwords_operate(&object->words, &one, 1, now->pid, now->now);
	seen.quick += result != SEMWORDS_ASK;
	if (result == SEMWORDS_ASK) {
		ask_begin(WIRE_SEM_OP, object);
		asking.asked.length = sizeof one;
		asking.call.bytes = &one;
		result = perform(&asking);
		seen.slow++;
	}
	cr_assert_eq(result, wanted);
	if (result == 0)
		*value = after;
}

static void look(const struct object *object)
{
	struct wire_ipc_stat stat;

	ask_begin(object->family == WIRE_MQ ? WIRE_MQ_ATTRIBUTES : WIRE_IPC_CONTROL, object);
	asking.asked.command = object->family == WIRE_SEM ? GETALL : IPC_STAT;
	cr_assert_geq(perform(&asking), 0);
	if (object->family == WIRE_SEM) {
		const unsigned short *values = (const void *)asking.text;

		for (int i = 0; i < SEMAPHORES; i++)
			cr_assert_eq(values[i], object->value[i]);
		return;
	}
	memcpy(&stat, asking.text, sizeof stat);
	cr_assert_eq(stat.count, (uint64_t)object->model.count);
}

/* Its memory is no longer that of those who have it. */
static void change_mode(const struct object *object)
{
	struct wire_ipc_stat stat = {.mode = choose(2) ? 0600 : 0640, .size = QBYTES};

	if (object->family == WIRE_MQ)
		return;
	ask_begin(WIRE_IPC_CONTROL, object);
	asking.asked.command = IPC_SET;
	asking.asked.length = sizeof stat;
	asking.call.bytes = &stat;
	cr_assert_eq(perform(&asking), 0);
}

/* A sender that is stopped, or dies, in the middle. It writes to its slot all the time. */
static void claim_one(const struct object *object)
{
	uint64_t owner;

	if (!object->memory || object->family == WIRE_SEM || is_gone(object))
		return;
	owner = present(++others).number & WIRE_OWNER_MASK;
	for (uint32_t i = 0; i < object->slots.count; i++) {
		uint64_t word = object->slots.words[i];

		if (word & 7)
			continue;
		object->slots.words[i] = word | 1 | UINT64_C(5) << 3 | owner << 20;
		seen.claims++;
		break;
	}
}

/* As it is when its process does nothing but look, and is killed while it does. */
static void kill_at_work(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		is_disturbed = false;
		for (;;) {
			for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++)
				look(&objects[i]);
			ipc_share_after(ipc);
		}
	}
	cr_assert_gt(pid, 0);
	usleep((useconds_t)choose(1500));
	kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	world_restart(choose(2));
	ipc_restore_done(ipc);
	seen.kills++;
}

static void use(struct object *object)
{
	if (object->memory && is_gone(object))
		forget(object);
	if (!object->memory && choose(3) == 0)
		share(object);
	if (object->family == WIRE_SEM)
		operate(object);
	else if (choose(2))
		send_one(object);
	else
		receive_one(object);
}

static void step(void)
{
	struct object *object = &objects[choose(sizeof objects / sizeof objects[0])];
	int what = choose(400);

	if (what == 0)
		kill_at_work();
	else if (what < 5)
		change_mode(object);
	else if (what < 10)
		claim_one(object);
	else if (what < 20)
		ipc_connection_ended(ipc, others);
	else if (what < 60)
		look(object);
	else
		use(object);
	while (ipc_next_changed(ipc))
		;
	if (choose(3))
		ipc_share_after(ipc);
}

static int get(const struct object *object)
{
	asking_init(&asking, WIRE_IPC_GET, &users[0]);
	asking.asked.family = object->family;
	asking.asked.id = IPC_PRIVATE;
	asking.asked.flags = 0600;
	asking.asked.size = object->family == WIRE_SEM ? SEMAPHORES : 0;
	return perform(&asking);
}

static void begin(void)
{
	const int64_t shape[] = {MQ_DEPTH, SIZE};

	world_begin();
	presence = present(CONNECTION);
	objects[0].id = get(&objects[0]);
	objects[2].id = get(&objects[2]);
	change_mode(&objects[0]);
	asking_init(&asking, WIRE_MQ_OPEN, &users[0]);
	wire_request_name(&asking.request, "a", 1);
	asking.request.mode = 0600;
	asking.call.bytes = shape;
	asking.asked.length = sizeof shape;
	asking.asked.flags = O_CREAT | O_RDWR;
	cr_assert_eq(perform(&asking), 0);
	objects[1].queue = asking.call.told.handle;
}

Test(ipc_share, is_as_without, .timeout = 120)
{
	unsigned long steps = from_environment("SHMEMU_TEST_STEPS", 40000);
	int fd;

	begin();
	/* While it is open somewhere. */
	fd = asking.call.fd;
	is_disturbed = true;
	while (steps--)
		step();
	is_disturbed = false;
	for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++) {
		look(&objects[i]);
		forget(&objects[i]);
	}
	close(fd);
	cr_log_info("%d quick, %d slow, %d kills, %d claims", seen.quick, seen.slow, seen.kills,
	            seen.claims);
	cr_assert_gt(seen.quick, 1000);
	world_end();
}

/* Whatever a client writes there, the daemon goes on, and the object can be removed. */
Test(ipc_share, stands_scribbles, .timeout = 120)
{
	unsigned long steps = from_environment("SHMEMU_TEST_STEPS", 40000) / 100;

	begin();
	close(asking.call.fd);
	while (steps--) {
		for (int i = 0; i < 3; i++) {
			if (!objects[i].memory)
				share(&objects[i]);
			for (size_t at = 0; at < objects[i].size && at < 8192; at += 4)
				if (choose(3) == 0)
					((uint32_t *)objects[i].memory)[at / 4] =
						(uint32_t)rand_r(&seed) << choose(9);
			ask_begin(i == 1 ? WIRE_MQ_ATTRIBUTES : WIRE_IPC_CONTROL, &objects[i]);
			asking.asked.command = IPC_STAT;
			cr_assert_geq(perform(&asking), 0);
		}
		while (ipc_next_changed(ipc))
			;
		ipc_share_after(ipc);
		if (choose(20) == 0)
			world_restart(false);
		asking_init(&asking, WIRE_IPC_LIST, &users[0]);
		cr_assert_geq(perform(&asking), 0);
		ipc_share_after(ipc);
	}
	for (int i = 0; i < 3; i += 2) {
		ask_begin(WIRE_IPC_CONTROL, &objects[i]);
		asking.asked.command = IPC_RMID;
		cr_assert_eq(perform(&asking), 0);
	}
	world_end();
}

struct ticks {
	uint32_t arrivals, departures;
};

static struct ticks ticks_of(const struct object *object)
{
	const struct slots_head *head = object->slots.head;

	return (struct ticks){slots_tick(&head->arrivals), slots_tick(&head->departures)};
}

/* Whether those who sleep until a message comes, or goes, have been woken since. */
static void check_woken(const struct object *object, struct ticks *before, bool comes, bool goes)
{
	struct ticks after = ticks_of(object);

	cr_assert_eq(after.arrivals != before->arrivals, comes);
	cr_assert_eq(after.departures != before->departures, goes);
	*before = after;
}

/* Without what it has as memory. */
static void ask_slowly(void (*how)(struct object *), const struct object *object)
{
	struct object slow = *object;

	slow.memory = NULL;
	how(&slow);
	objects[object - objects].model = slow.model;
}

static void check_who_is_woken(struct object *object)
{
	struct ticks ticks;

	share(object);
	ipc_share_after(ipc);
	ticks = ticks_of(object);
	look(object);
	check_woken(object, &ticks, false, false);
	ipc_share_after(ipc);
	check_woken(object, &ticks, false, false);
	cr_assert_eq(slots_send(&object->slots, 1, 1, "", 0, now), 0);
	ticks = ticks_of(object);
	object->model.count++;
	look(object);
	ipc_share_after(ipc);
	check_woken(object, &ticks, false, false);
	ask_slowly(send_one, object);
	ipc_share_after(ipc);
	check_woken(object, &ticks, true, false);
	take_from_model(object, next_of(object, 0));
	cr_assert_geq(receive_slowly(object, 0, (char[SIZE]){0}, &(int64_t){0}), 0);
	ipc_share_after(ipc);
	check_woken(object, &ticks, false, true);
	world_restart(false);
	check_woken(object, &ticks, false, false);
	ask_slowly(send_one, object);
	world_restart(false);
	check_woken(object, &ticks, true, true);
	ipc_share_after(ipc);
	world_restart(false);
	check_woken(object, &ticks, false, false);
}

/* To be looked at by the daemon wakes nobody, and else those only whom a client would wake: who is
 * woken for nothing may miss a signal. */
Test(ipc_share, wakes_whom_it_is_for)
{
	struct ticks ticks;

	begin();
	check_who_is_woken(&objects[0]);
	check_who_is_woken(&objects[1]);
	/* It stays frozen: all are to ask. */
	ticks = ticks_of(&objects[1]);
	ask_begin(WIRE_MQ_POLLED, &objects[1]);
	cr_assert_geq(perform(&asking), 0);
	ipc_share_after(ipc);
	check_woken(&objects[1], &ticks, true, true);
	world_end();
}
