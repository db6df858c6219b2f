/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes that operate on a set, wait, are woken and killed: who gets on, with which result, who
 * waits for what, and which values there are afterwards is what the kernel says of the same.
 * SHMEMU_TEST_STEPS says how many, SHMEMU_TEST_SEED with which seed. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/ipc_ask.h"

enum { CHILDREN = 6, SEMAPHORES = 4, OPERATIONS_MAX = 3, STEPS = 3000, KEY = 77 };

TestSuite(ipc_sem, .fini = ipc_ask_deinit);

static unsigned first_seed;
static unsigned seed;

static int choose(int below)
{
	return rand_r(&seed) % below;
}

static long number_from(const char *name, long other)
{
	const char *text = getenv(name);

	return text ? strtol(text, NULL, 10) : other;
}

struct command {
	int id;
	int count;
	struct sembuf operations[OPERATIONS_MAX];
};

/* One process in both worlds: a child that asks the kernel, and who asks us. */
struct child {
	pid_t pid;
	int commands; /* owned: written to */
	int results;  /* owned: read from */
	bool is_busy;
	struct asker asker;
};

static struct child children[CHILDREN];
static struct asker master;
static int kernel_id;
static int our_id;

static _Noreturn void obey(int commands, int results)
{
	struct command command;
	int result;

	while (read(commands, &command, sizeof command) == sizeof command) {
		result = semop(command.id, command.operations, (size_t)command.count);
		result = result < 0 ? -errno : 0;
		if (write(results, &result, sizeof result) < 0)
			break;
	}
	_exit(0);
}

static void start(struct child *child)
{
	int commands[2];
	int results[2];

	cr_assert_eq(pipe2(commands, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(results, O_CLOEXEC), 0);
	fflush(NULL);
	child->pid = fork();
	if (child->pid == 0) {
		for (int i = 0; i < CHILDREN; i++)
			if (&children[i] != child && children[i].pid)
				close(children[i].commands);
		close(commands[1]);
		obey(commands[0], results[1]);
	}
	close(commands[0]);
	close(results[1]);
	child->commands = commands[1];
	child->results = results[0];
	child->is_busy = false;
	asker_init(&child->asker, child->pid, 0, 0, ~0ULL);
}

static void end(struct child *child)
{
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	close(child->commands);
	close(child->results);
	child->pid = 0;
	asker_end(&child->asker);
}

/* How many the kernel has in the set's queues: each waits for one semaphore. */
static int count_waiting(void)
{
	int waiting = 0;

	for (int i = 0; i < SEMAPHORES; i++) {
		int up = semctl(kernel_id, i, GETNCNT);
		int zero = semctl(kernel_id, i, GETZCNT);

		/* It may be removed, and nobody waits then. */
		waiting += (up > 0 ? up : 0) + (zero > 0 ? zero : 0);
	}
	return waiting;
}

static bool has_result(const struct child *child)
{
	struct pollfd result = {.fd = child->results, .events = POLLIN};

	return poll(&result, 1, 0) == 1;
}

static bool are_settled(void)
{
	int busy = 0;
	int known = 0;

	for (int i = 0; i < CHILDREN; i++)
		busy += children[i].is_busy;
	for (int i = 0; i < CHILDREN; i++)
		known += children[i].is_busy && has_result(&children[i]);
	/* After the results: who has one has woken whom it wakes. */
	return known + count_waiting() == busy;
}

/* Each has a result or waits in the kernel's queue. That /proc says it sleeps in semop would not
 * do, as it may sleep for memory. Twice in a row, as whom the last one gets further on may be
 * counted at two semaphores. */
static void settle(void)
{
	for (int times = 0; times < 2; times = are_settled() ? times + 1 : 0)
		sched_yield();
}

static const char *at(long step)
{
	static char text[64];

	snprintf(text, sizeof text, "seed %u, step %ld", first_seed, step);
	return text;
}

static void compare_child(struct child *child, long step)
{
	int result;

	if (!child->is_busy)
		return;
	if (!has_result(child)) {
		cr_assert(child->asker.waits, "%s: %d, and the kernel waits", at(step),
		          child->asker.result);
		return;
	}
	cr_assert_eq(read(child->results, &result, sizeof result), sizeof result);
	child->is_busy = false;
	cr_assert(!child->asker.waits, "%s: waits, and the kernel says %d", at(step), result);
	cr_assert_eq(child->asker.result, result, "%s: %d, not %d", at(step),
	             child->asker.result, result);
}

static int control_of(int number, int command)
{
	struct wire_ipc asked = {
		.family = WIRE_SEM, .id = our_id, .command = command, .number = number,
	};

	return ask_ipc_op(&master, WIRE_IPC_CONTROL, asked, NULL);
}

static void compare_values(long step)
{
	static const int commands[] = {GETVAL, GETPID, GETNCNT, GETZCNT};
	static const char *const names[] = {"value", "pid", "ncnt", "zcnt"};

	for (int i = 0; i < SEMAPHORES; i++) {
		for (int which = 0; which < 4; which++) {
			int wanted = semctl(kernel_id, i, commands[which]);
			int result = control_of(i, commands[which]);

			cr_assert_eq(result, wanted, "%s: %s of %d: %d, not %d", at(step),
			             names[which], i, result, wanted);
		}
	}
}

static void compare(long step)
{
	settle();
	for (int i = 0; i < CHILDREN; i++)
		compare_child(&children[i], step);
	compare_values(step);
}

static bool alters(const struct command *command)
{
	for (int i = 0; i < command->count; i++)
		if (command->operations[i].sem_op)
			return true;
	return false;
}

/* Several waits for zero at once are looked at by the kernel only when some value has become 0, and
 * by us with each change: with IPC_NOWAIT among them it can be told which. */
static void operate(struct child *child)
{
	static const int changes[] = {0, 0, 1, 1, 2, -1, -1, -1, -2, 3};
	struct command command = {.id = kernel_id, .count = 1 + choose(OPERATIONS_MAX)};
	struct wire_ipc asked = {.id = our_id};

	for (int i = 0; i < command.count; i++)
		command.operations[i] = (struct sembuf){
			.sem_num = (unsigned short)choose(SEMAPHORES),
			.sem_op = (short)changes[choose(10)],
			.sem_flg = (short)((choose(2) ? SEM_UNDO : 0) |
			                   (choose(5) ? 0 : IPC_NOWAIT)),
		};
	if (!alters(&command))
		command.count = 1;
	child->is_busy = true;
	cr_assert_eq(write(child->commands, &command, sizeof command), sizeof command);
	settle();
	asked.length = (uint32_t)command.count * sizeof command.operations[0];
	ask_ipc_op(&child->asker, WIRE_SEM_OP, asked, command.operations);
}

static void set_value(void)
{
	int value = choose(4);
	int number = choose(SEMAPHORES);
	struct wire_ipc asked = {
		.family = WIRE_SEM, .id = our_id, .command = SETVAL, .number = number,
		.value = value,
	};

	cr_assert_eq(semctl(kernel_id, number, SETVAL, value), 0);
	cr_assert_eq(ask_ipc_op(&master, WIRE_IPC_CONTROL, asked, NULL), 0);
}

static void set_all(void)
{
	unsigned short values[SEMAPHORES];
	struct wire_ipc asked = {
		.family = WIRE_SEM, .id = our_id, .command = SETALL, .length = sizeof values,
	};

	for (int i = 0; i < SEMAPHORES; i++)
		values[i] = (unsigned short)choose(4);
	cr_assert_eq(semctl(kernel_id, 0, SETALL, values), 0);
	cr_assert_eq(ask_ipc_op(&master, WIRE_IPC_CONTROL, asked, values), 0);
}

static void make_sets(void)
{
	kernel_id = semget(IPC_PRIVATE, SEMAPHORES, 0600);
	our_id = ask_get(&master, WIRE_SEM, IPC_PRIVATE, SEMAPHORES, 0600);
	cr_assert_geq(our_id, 0);
}

static void remove_sets(void)
{
	cr_assert_eq(semctl(kernel_id, 0, IPC_RMID), 0);
	cr_assert_eq(ask_control(&master, WIRE_SEM, our_id, IPC_RMID), 0);
}

static void do_one(void)
{
	struct child *child = &children[choose(CHILDREN)];
	int what = choose(200);

	if (what < 6) {
		end(child);
		start(child);
	} else if (what < 16) {
		set_value();
	} else if (what < 20) {
		set_all();
	} else if (what < 21) {
		remove_sets();
		settle();
		for (int i = 0; i < CHILDREN; i++)
			compare_child(&children[i], -1);
		make_sets();
	} else if (!child->is_busy) {
		operate(child);
	}
}

Test(ipc_sem, wakes_as_the_kernel)
{
	long steps = number_from("SHMEMU_TEST_STEPS", STEPS);

	first_seed = (unsigned)number_from("SHMEMU_TEST_SEED", 1);
	seed = first_seed;
	if (unshare(CLONE_NEWIPC) < 0)
		cr_skip_test("no IPC namespace of our own");
	ipc_ask_init(ANON_MEMFD, 0);
	asker_init(&master, getpid(), 0, 0, ~0ULL);
	make_sets();
	for (int i = 0; i < CHILDREN; i++)
		start(&children[i]);
	for (long step = 0; step < steps; step++) {
		do_one();
		compare(step);
	}
	for (int i = 0; i < CHILDREN; i++)
		end(&children[i]);
	compare_values(steps);
	remove_sets();
	cr_assert_eq(ipc_header(ipc)->semaphores, 0);
	cr_assert(ipc_is_empty(ipc));
}

enum { UID = 1000, OTHER_UID = 1001 };

/* Of processes that there can't be. */
enum { MASTER = 1 << 28 | 1, USER, OTHER };

static struct asker user;
static struct asker other;

static void begin(void)
{
	ipc_ask_init(ANON_MEMFD, 0);
	asker_init(&master, MASTER, 0, 0, ~0ULL);
	asker_init(&user, USER, UID, UID, 0);
	asker_init(&other, OTHER, OTHER_UID, OTHER_UID, 0);
}

static int ask_control_of(struct asker *asker, int id, int command, int number, int value)
{
	struct wire_ipc asked = {
		.family = WIRE_SEM, .id = id, .command = command, .number = number,
		.value = value,
	};

	return ask_ipc_op(asker, WIRE_IPC_CONTROL, asked, NULL);
}

static int ask_with(struct asker *asker, int id, int command, const void *bytes, size_t length)
{
	struct wire_ipc asked = {
		.family = WIRE_SEM, .id = id, .command = command, .length = (uint32_t)length,
	};

	return ask_ipc_op(asker, WIRE_IPC_CONTROL, asked, bytes);
}

static int ask_op(struct asker *asker, int id, const struct sembuf *operations, size_t count)
{
	struct wire_ipc asked = {.id = id, .length = (uint32_t)(count * sizeof operations[0])};

	return ask_ipc_op(asker, WIRE_SEM_OP, asked, operations);
}

static int ask_one(struct asker *asker, int id, int number, int change, int flags)
{
	struct sembuf operation = {(unsigned short)number, (short)change, (short)flags};

	return ask_op(asker, id, &operation, 1);
}

Test(ipc_sem, sets, .init = begin)
{
	int id = ask_get(&user, WIRE_SEM, KEY, 3, 0640 | IPC_CREAT);
	uint64_t most = ask_host.limits.semmsl;
	struct wire_ipc_stat stat;

	cr_assert_geq(id, 0);
	cr_assert_eq(ask_get(&user, WIRE_SEM, KEY, 3, 0), id);
	cr_assert_eq(ask_get(&user, WIRE_SEM, KEY, 0, 0), id);
	cr_assert_eq(ask_get(&user, WIRE_SEM, KEY, 4, 0), -EINVAL);
	cr_assert_eq(ask_get(&user, WIRE_SEM, KEY, 3, IPC_CREAT | IPC_EXCL), -EEXIST);
	cr_assert_eq(ask_get(&user, WIRE_SEM, KEY + 1, 3, 0), -ENOENT);
	cr_assert_eq(ask_get(&user, WIRE_SEM, KEY + 1, 0, IPC_CREAT), -EINVAL);
	cr_assert_eq(ask_get(&user, WIRE_SEM, KEY, most + 1, 0), -EINVAL);
	cr_assert_eq(ask_get(&user, WIRE_SEM, KEY, (uint64_t)-1, 0), -EINVAL);
	cr_assert_eq(ask_get(&user, WIRE_SEM, IPC_PRIVATE, 0, 0600), -EINVAL);
	cr_assert_eq(ask_get(&other, WIRE_SEM, KEY, 3, 0), id);
	cr_assert_eq(ask_get(&other, WIRE_SEM, KEY, 3, 0400), -EACCES);
	cr_assert_eq(ask_get(&other, WIRE_SEM, KEY, 4, 0400), -EINVAL);
	stat = ask_status(&user, WIRE_SEM, id);
	cr_assert_eq(stat.size, 3);
	cr_assert_eq(stat.mode, 0640);
	cr_assert_eq(stat.time[0], 0);
	cr_assert_neq(stat.time[2], 0);
	cr_assert_eq(ask_control(&user, WIRE_SEM, id, IPC_RMID), 0);
	cr_assert_eq(ask_control(&user, WIRE_SEM, id, IPC_RMID), -EINVAL);
}

Test(ipc_sem, limits, .init = begin)
{
	int ids[3];

	ask_host.limits.semmni = 2;
	ask_host.limits.semmns = 10;
	ids[0] = ask_get(&user, WIRE_SEM, IPC_PRIVATE, 6, 0600);
	cr_assert_geq(ids[0], 0);
	cr_assert_eq(ask_get(&user, WIRE_SEM, IPC_PRIVATE, 5, 0600), -ENOSPC);
	ids[1] = ask_get(&user, WIRE_SEM, IPC_PRIVATE, 4, 0600);
	cr_assert_geq(ids[1], 0);
	cr_assert_eq(ask_control(&user, WIRE_SEM, ids[0], IPC_RMID), 0);
	ids[2] = ask_get(&user, WIRE_SEM, IPC_PRIVATE, 1, 0600);
	cr_assert_geq(ids[2], 0);
	cr_assert_eq(ask_get(&user, WIRE_SEM, IPC_PRIVATE, 1, 0600), -ENOSPC);
}

Test(ipc_sem, what_controls_say, .init = begin)
{
	int id = ask_get(&user, WIRE_SEM, IPC_PRIVATE, 2, 0600);
	unsigned short values[2] = {5, 40000};
	struct wire_ipc_info info;
	struct wire_ipc_stat stat = {.uid = (uint32_t)-1};

	cr_assert_eq(ask_control_of(&user, -1, IPC_INFO, 0, 0), -EINVAL);
	cr_assert_eq(ask_control_of(&user, id, 99, 0, 0), -EINVAL);
	cr_assert_eq(ask_control_of(&user, id + 1, SETVAL, 0, 40000), -ERANGE);
	cr_assert_eq(ask_control_of(&user, id + 1, SETVAL, 0, 4), -EINVAL);
	cr_assert_eq(ask_control_of(&other, id, SETVAL, 2, 4), -EINVAL);
	cr_assert_eq(ask_control_of(&other, id, SETVAL, 1, 4), -EACCES);
	cr_assert_eq(ask_control_of(&other, id, GETVAL, 9, 0), -EACCES);
	cr_assert_eq(ask_control_of(&user, id, GETVAL, 2, 0), -EINVAL);
	cr_assert_eq(ask_control_of(&user, id, GETVAL, -1, 0), -EINVAL);
	cr_assert_eq(ask_with(&user, id, SETALL, values, sizeof values), -ERANGE);
	values[1] = 7;
	cr_assert_eq(ask_with(&other, id, SETALL, values, sizeof values), -EACCES);
	cr_assert_eq(ask_with(&other, id, SETALL, NULL, 0), -EACCES);
	cr_assert_eq(ask_with(&user, id, SETALL, NULL, 0), 2);
	cr_assert_eq(ask_with(&user, id, SETALL, values, 2), -EINVAL);
	cr_assert_eq(ask_with(&user, id, SETALL, values, sizeof values), 0);
	cr_assert_eq(ask_control_of(&user, id, GETALL, 0, 0), 0);
	cr_assert_eq(user.told.length, sizeof values);
	cr_assert_eq(memcmp(ipc_text, values, sizeof values), 0);
	cr_assert_eq(ask_control_of(&user, id, GETPID, 1, 0), USER);
	cr_assert_eq(ask_control_of(&other, id, SEM_STAT, 0, 0), -EACCES);
	cr_assert_eq(ask_control_of(&other, id & IPC_INDEX_MASK, SEM_STAT_ANY, 0, 0), id);
	cr_assert_eq(ask_control_of(&other, id, SEM_INFO, 0, 0), id & IPC_INDEX_MASK);
	memcpy(&info, ipc_text, sizeof info);
	cr_assert_eq(info.field[7], 1);
	cr_assert_eq(info.field[9], 2);
	cr_assert_eq(ask_with(&other, id, IPC_SET, &stat, sizeof stat), -EPERM);
	cr_assert_eq(ask_with(&user, id, IPC_SET, &stat, sizeof stat), -EINVAL);
	stat = (struct wire_ipc_stat){.uid = OTHER_UID, .gid = 5, .mode = 07606};
	cr_assert_eq(ask_with(&user, id, IPC_SET, &stat, sizeof stat), 0);
	stat = ask_status(&other, WIRE_SEM, id);
	cr_assert(stat.uid == OTHER_UID && stat.gid == 5 && stat.mode == 0606);
	cr_assert_eq(ask_control(&other, WIRE_SEM, id, IPC_RMID), 0);
}

Test(ipc_sem, what_operations_say, .init = begin)
{
	static struct sembuf many[600];
	int id = ask_get(&user, WIRE_SEM, IPC_PRIVATE, 2, 0604);

	ask_host.limits.semopm = 500;
	cr_assert_eq(ask_op(&user, -1, many, 501), -E2BIG);
	cr_assert_eq(ask_op(&user, id, many, 0), -EINVAL);
	cr_assert_eq(ask_op(&user, id, many, 500), 0);
	cr_assert_eq(ask_one(&user, id + 1, 0, 0, 0), -EINVAL);
	cr_assert_eq(ask_one(&other, id, 2, 1, 0), -EFBIG);
	cr_assert_eq(ask_one(&other, id, 0, 1, 0), -EACCES);
	cr_assert_eq(ask_one(&other, id, 0, 0, 0), 0);
	cr_assert_eq(ask_one(&user, id, 0, -1, IPC_NOWAIT), -EAGAIN);
	cr_assert_eq(ask_one(&user, id, 0, 32767, SEM_UNDO), 0);
	cr_assert_eq(ask_one(&user, id, 0, 1, 0), -ERANGE);
	cr_assert_eq(ask_one(&user, id, 0, -1, 0), 0);
	cr_assert_eq(ask_one(&user, id, 0, 1, SEM_UNDO), 0);
	cr_assert_eq(ask_one(&user, id, 0, -1, 0), 0);
	cr_assert_eq(ask_one(&user, id, 0, 1, SEM_UNDO), -ERANGE);
	user.presence.secret++;
	cr_assert_eq(ask_one(&user, id, 1, 1, SEM_UNDO), -ESTALE);
	user.presence = (struct wire_handle){0};
	cr_assert_eq(ask_one(&user, id, 1, 1, SEM_UNDO), -ESTALE);
	cr_assert_eq(ask_one(&user, id, 1, 1, 0), 0);
}

/* What was allowed when it was asked is not judged again, and ends with its set. */
Test(ipc_sem, who_waits, .init = begin)
{
	int id = ask_get(&user, WIRE_SEM, IPC_PRIVATE, 1, 0606);
	struct wire_ipc_stat stat = {.uid = UID, .gid = UID, .mode = 0600};

	cr_assert_eq(ask_one(&other, id, 0, -1, SEM_UNDO), IPC_WAITS);
	cr_assert_eq(ask_with(&user, id, IPC_SET, &stat, sizeof stat), 0);
	cr_assert_eq(ask_control_of(&user, id, GETNCNT, 0, 0), 1);
	cr_assert_eq(ask_one(&user, id, 0, 1, 0), 0);
	cr_assert(!other.waits && other.result == 0);
	cr_assert_eq(ask_one(&other, id, 0, -1, 0), -EACCES);
	asker_end(&other);
	cr_assert_eq(ask_control_of(&user, id, GETVAL, 0, 0), 1);
	cr_assert_eq(ask_control_of(&user, id, GETPID, 0, 0), OTHER);
	cr_assert_eq(ask_one(&master, id, 0, 0, 0), IPC_WAITS);
	cr_assert_eq(ask_control(&user, WIRE_SEM, id, IPC_RMID), 0);
	cr_assert(!master.waits && master.result == -EIDRM);
}

/* Undo values of sets that are no more, or have other values since, say nothing, and are not kept
 * for ever. */
Test(ipc_sem, void_undo_values_go, .init = begin)
{
	int kept = ask_get(&user, WIRE_SEM, IPC_PRIVATE, 1, 0600);
	unsigned short value = 3;
	int records = 0;
	const struct ipc_presence *presence;
	const struct ipc_undo *undo;

	cr_assert_eq(ask_one(&user, kept, 0, 1, SEM_UNDO), 0);
	for (int i = 0; i < 1000; i++) {
		int id = ask_get(&user, WIRE_SEM, IPC_PRIVATE, 1, 0600);

		cr_assert_eq(ask_one(&user, id, 0, 1, SEM_UNDO), 0);
		cr_assert_eq(ask_control(&user, WIRE_SEM, id, IPC_RMID), 0);
	}
	cr_assert_eq(ipc_presence_of(ipc, &user.presence, &presence), 0);
	undo = arena_at(&ipc->arena, presence->undos, sizeof *undo);
	for (; undo; undo = arena_at(&ipc->arena, undo->next, sizeof *undo))
		records++;
	cr_assert_lt(records, 10);
	cr_assert_eq(ask_with(&user, kept, SETALL, &value, sizeof value), 0);
	cr_assert_eq(ask_one(&user, kept, 0, 5, SEM_UNDO), 0);
	cr_assert_eq(ask_one(&other, kept, 0, 1, 0), -EACCES);
	asker_end(&user);
	cr_assert_eq(ask_control_of(&master, kept, GETVAL, 0, 0), 3);
}

/* The presence's connection is gone. */
static void run_another_program(struct asker *asker)
{
	ipc_connection_ended(ipc, asker->connection + (1ULL << 32));
}

static pid_t start_sleeper(void)
{
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		pause();
		_exit(EXIT_FAILURE);
	}
	return pid;
}

static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int ask_value(int id)
{
	return ask_control_of(&master, id, GETVAL, 0, 0);
}

/* Another worker's, which knows of no connection. */
static void restart(void)
{
	cr_assert_geq(ipc_ask_restart(), 0);
	asker_init(&master, MASTER, 0, 0, ~0ULL);
}

/* semadj are the process's, whatever it runs. */
Test(ipc_sem, undo_waits_for_the_process, .init = begin)
{
	int id = ask_get(&master, WIRE_SEM, IPC_PRIVATE, 1, 0600);
	struct asker asker;
	struct asker again;
	pid_t pid = start_sleeper();
	uint64_t presences = ipc_header(ipc)->presences;

	asker_init(&asker, pid, 0, 0, ~0ULL);
	cr_assert_eq(ask_one(&asker, id, 0, 5, SEM_UNDO), 0);
	run_another_program(&asker);
	cr_assert_eq(ask_one(&asker, id, 0, 5, SEM_UNDO), -ESTALE, "its handle is no more");
	cr_assert_eq(ask_value(id), 5);
	/* Which takes its semadj over, and adds to them. */
	asker_init(&again, pid, 0, 0, ~0ULL);
	cr_assert_eq(ipc_header(ipc)->presences, presences + 1);
	cr_assert_eq(ask_one(&again, id, 0, 2, SEM_UNDO), 0);
	run_another_program(&again);
	cr_assert_eq(ask_value(id), 7);
	for (int i = 0; i < 10; i++) {
		asker_init(&again, pid, 0, 0, ~0ULL);
		run_another_program(&again);
	}
	cr_assert_eq(ipc_header(ipc)->presences, presences + 1);
	cr_assert_eq(ask_one(&user, id, 0, -8, 0), -EACCES);
	cr_assert_eq(ask_one(&master, id, 0, 0, 0), IPC_WAITS);
	end_process(pid);
	cr_assert_eq(ask_control_of(&user, id, GETVAL, 0, 0), -EACCES);
	cr_assert(!master.waits && master.result == 0);
	cr_assert_eq(ipc_header(ipc)->presences, presences);
}

/* The next worker waits for it as well, if it is the same process. */
Test(ipc_sem, undo_waits_in_the_next_worker, .init = begin)
{
	int id = ask_get(&master, WIRE_SEM, IPC_PRIVATE, 1, 0600);
	struct asker askers[3];
	pid_t pids[3];

	for (int i = 0; i < 3; i++) {
		pids[i] = start_sleeper();
		asker_init(&askers[i], pids[i], 0, 0, ~0ULL);
		cr_assert_eq(ask_one(&askers[i], id, 0, 1 << i, SEM_UNDO), 0);
		if (i != 1)
			run_another_program(&askers[i]);
	}
	cr_assert_eq(ask_value(id), 7);
	end_process(pids[0]);
	restart();
	cr_assert_eq(ask_value(id), 6, "it ended when nobody looked");
	end_process(pids[1]);
	cr_assert_eq(ask_value(id), 4);
	restart();
	cr_assert_eq(ask_value(id), 4);
	end_process(pids[2]);
	cr_assert_eq(ask_value(id), 0);
}

/* Another process of the same number is none of its. */
Test(ipc_sem, undo_does_not_wait_for_another, .init = begin)
{
	int id = ask_get(&master, WIRE_SEM, IPC_PRIVATE, 1, 0600);
	const struct ipc_presence *presence;
	struct asker asker;
	pid_t pid = start_sleeper();

	asker_init(&asker, pid, 0, 0, ~0ULL);
	cr_assert_eq(ask_one(&asker, id, 0, 5, SEM_UNDO), 0);
	cr_assert_eq(ipc_presence_of(ipc, &asker.presence, &presence), 0);
	ARENA_SET(&ipc->arena, presence->start, presence->start - 1);
	ipc_commit(ipc);
	run_another_program(&asker);
	cr_assert_eq(ask_value(id), 0);
	end_process(pid);
}
