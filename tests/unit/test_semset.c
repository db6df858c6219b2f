/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random operations on a set have the results that a plain model of semop(2) has, and, where an IPC
 * namespace of our own can be had, those of the kernel, and leave the same values. Whatever a set
 * that is not trusted holds, nothing but its own bytes is written to. SHMEMU_TEST_STEPS says how
 * many, SHMEMU_TEST_SEED with which seed. */
#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/semset.h"

enum { SEMAPHORES = 70, OPERATIONS_MAX = 6, LARGE = 32000, STEPS = 20000 };

static const struct arena_shape shape = {.size = 64 << 20, .log = 1 << 20, .tables = 1 << 16};
static unsigned seed = 1;

static int choose(int below)
{
	return rand_r(&seed) % below;
}

static long number_from(const char *name, long other)
{
	const char *text = getenv(name);

	return text ? strtol(text, NULL, 10) : other;
}

/* In a forked child, where Criterion's own would wait for ever. */
#define CHECK(expression)                                                                          \
	do {                                                                                       \
		if (!(expression)) {                                                               \
			fprintf(stderr, "%s:%d: not %s\n", __FILE__, __LINE__, #expression);       \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

static void open_arena(struct arena *arena)
{
	int file = memfd_create("semset", MFD_CLOEXEC);

	cr_assert_geq(file, 0);
	cr_assert_eq(arena_init(arena, file, &shape), 0);
}

struct model {
	int value[SEMAPHORES];
	int adjust[SEMAPHORES];
	unsigned pid[SEMAPHORES];
};

static int model_operate(struct model *model, const struct sembuf *operations, size_t count,
                         unsigned pid, struct semset_block *ret_block)
{
	struct model after = *model;

	for (size_t i = 0; i < count; i++)
		if (operations[i].sem_num >= SEMAPHORES)
			return -EFBIG;
	for (size_t i = 0; i < count; i++) {
		int number = operations[i].sem_num;
		int change = operations[i].sem_op;

		if (change ? after.value[number] + change < 0 : after.value[number] != 0) {
			*ret_block = (struct semset_block){
				.number = (uint16_t)number,
				.on_zero = change == 0,
				.no_wait = operations[i].sem_flg & IPC_NOWAIT,
			};
			return -EAGAIN;
		}
		after.value[number] += change;
		if (after.value[number] > 32767)
			return -ERANGE;
		if (operations[i].sem_flg & SEM_UNDO)
			after.adjust[number] -= change;
		if (after.adjust[number] < -32768 || after.adjust[number] > 32767)
			return -ERANGE;
	}
	for (size_t i = 0; i < count; i++)
		after.pid[operations[i].sem_num] = pid;
	*model = after;
	return 0;
}

/* Few semaphores, so that operations meet; the last few numbers are those of one mask bit. */
static size_t choose_operations(struct sembuf operations[OPERATIONS_MAX])
{
	static const int changes[] = {
		0, 0, 1, 1, 1, 2, -1, -1, -2, -3, 32767, -32768, 30000, -30000,
	};
	static const int numbers[] = {0, 0, 1, 2, 64, 65, 69};
	size_t count = 1 + (size_t)choose(choose(3) ? 2 : OPERATIONS_MAX);

	for (size_t i = 0; i < count; i++) {
		operations[i] = (struct sembuf){
			.sem_num = (unsigned short)numbers[choose(7)],
			.sem_op = (short)changes[choose(choose(4) ? 10 : 14)],
			.sem_flg = (short)((choose(2) ? SEM_UNDO : 0) |
			                   (choose(2) ? IPC_NOWAIT : 0)),
		};
		if (choose(400) == 0)
			operations[i].sem_num = SEMAPHORES;
	}
	return count;
}

static int kernel_operate(int id, struct sembuf *operations, size_t count)
{
	static const struct timespec none;

	if (id < 0)
		return 0;
	return semtimedop(id, operations, count, &none) < 0 ? -errno : 0;
}

static void check_values(const struct arena *arena, uint64_t at, const struct model *model, int id)
{
	const struct semset *set = semset_at(arena, at, SEMAPHORES);
	unsigned short values[SEMAPHORES];

	CHECK(set);
	if (id >= 0)
		CHECK(semctl(id, 0, GETALL, values) == 0);
	for (int i = 0; i < SEMAPHORES; i++) {
		CHECK(set->one[i].value == model->value[i]);
		CHECK(set->one[i].pid == model->pid[i]);
		if (id >= 0)
			CHECK(set->one[i].value == values[i]);
		if (id >= 0)
			CHECK(semctl(id, i, GETPID) == (int)model->pid[i]);
	}
}

static void note_adjustments(const struct sembuf *operations, size_t count, int16_t *adjust)
{
	for (size_t i = 0; i < count; i++)
		if (operations[i].sem_flg & SEM_UNDO)
			adjust[operations[i].sem_num] -= operations[i].sem_op;
}

static void step(struct arena *arena, uint64_t at, struct model *model, int16_t *adjust, int id)
{
	struct sembuf operations[OPERATIONS_MAX];
	size_t count = choose_operations(operations);
	struct semset_block blocks[2] = {0};
	unsigned pid = (unsigned)getpid();
	int wanted = model_operate(model, operations, count, pid, &blocks[0]);
	int result = semset_operate(arena, at, SEMAPHORES, operations, count, adjust, pid, 7,
	                            &blocks[1]);

	CHECK(result == wanted);
	CHECK(memcmp(&blocks[0], &blocks[1], sizeof blocks[0]) == 0);
	if (id >= 0)
		CHECK(kernel_operate(id, operations, count) == wanted);
	if (result == 0)
		note_adjustments(operations, count, adjust);
	else
		CHECK(!arena_is_dirty(arena));
	check_values(arena, at, model, result == 0 || choose(50) == 0 ? id : -1);
	arena_commit(arena);
}

/* In a process of its own, so that its end undoes. */
static void run(struct arena *arena, uint64_t at, int id)
{
	long steps = number_from("SHMEMU_TEST_STEPS", STEPS);
	struct model model = {0};
	int16_t adjust[SEMAPHORES] = {0};

	for (long i = 0; i < steps; i++) {
		if (choose(300) == 0) {
			int number = choose(3);
			int value = choose(3) ? choose(5) : 32767;

			model.value[number] = value;
			model.adjust[number] = 0;
			adjust[number] = 0;
			model.pid[number] = (unsigned)getpid();
			CHECK(semset_set(arena, at, SEMAPHORES, (uint16_t)number, value,
			                 (uint32_t)getpid()) == 0);
			arena_commit(arena);
			if (id >= 0)
				CHECK(semctl(id, number, SETVAL, value) == 0);
		}
		step(arena, at, &model, adjust, id);
	}
	CHECK(semset_undo(arena, at, SEMAPHORES, adjust, (uint32_t)getpid(), 9) == 0);
	arena_commit(arena);
}

Test(semset, does_as_the_kernel)
{
	struct arena arena;
	int64_t at;
	int id = -1;
	int status;
	pid_t child;
	unsigned short values[SEMAPHORES];

	seed = (unsigned)number_from("SHMEMU_TEST_SEED", 1);
	open_arena(&arena);
	at = semset_new(&arena, SEMAPHORES);
	cr_assert_gt(at, 0);
	arena_commit(&arena);
	if (unshare(CLONE_NEWIPC) == 0)
		id = semget(IPC_PRIVATE, SEMAPHORES, 0600);
	else
		cr_log_warn("no IPC namespace: compared with the model only");
	fflush(NULL);
	child = fork();
	if (child == 0) {
		run(&arena, (uint64_t)at, id);
		_exit(0);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	if (id < 0)
		return;
	cr_assert_eq(semctl(id, 0, GETALL, values), 0);
	for (int i = 0; i < SEMAPHORES; i++) {
		const struct semset *set = semset_at(&arena, (uint64_t)at, SEMAPHORES);

		cr_assert_eq(set->one[i].value, values[i]);
		cr_assert_eq(semctl(id, i, GETPID), (int)set->one[i].pid);
	}
	cr_assert_eq(semset_at(&arena, (uint64_t)at, SEMAPHORES)->otime, 9);
}

Test(semset, many_at_once)
{
	static uint16_t values[LARGE];
	static int16_t adjust[LARGE];
	struct sembuf operations[500];
	struct semset_block block;
	struct arena arena;
	const struct semset *set;
	uint64_t at;

	open_arena(&arena);
	at = (uint64_t)semset_new(&arena, LARGE);
	arena_commit(&arena);
	for (int i = 0; i < LARGE; i++) {
		values[i] = (uint16_t)(i % 32768);
		adjust[i] = (int16_t)(i % 3 ? -(i % 1000) : 0);
	}
	cr_assert_eq(semset_set_all(&arena, at, LARGE, values, 5), 0);
	arena_commit(&arena);
	set = semset_at(&arena, at, LARGE);
	for (int i = 0; i < LARGE; i++)
		cr_assert(set->one[i].value == values[i] && set->one[i].pid == 5);
	cr_assert_eq(semset_undo(&arena, at, LARGE, adjust, 6, 1), 0);
	for (int i = 0; i < LARGE; i++) {
		int wanted = values[i] + adjust[i] < 0 ? 0 : values[i] + adjust[i];

		cr_assert_eq(set->one[i].value, wanted);
		cr_assert_eq(set->one[i].pid, adjust[i] ? 6 : 5);
	}
	arena_roll_back(&arena);
	for (int i = 0; i < LARGE; i++)
		cr_assert(set->one[i].value == values[i] && set->one[i].pid == 5);
	for (int i = 0; i < 500; i++)
		operations[i] = (struct sembuf){.sem_num = 7, .sem_op = i % 2 ? -1 : 1};
	cr_assert_eq(semset_operate(&arena, at, LARGE, operations, 500, NULL, 8, 3, &block), 0);
	cr_assert_eq(set->one[7].value, 7);
	cr_assert_eq(set->one[7].pid, 8);
	arena_commit(&arena);
	semset_free(&arena, at, LARGE);
	arena_commit(&arena);
}

Test(semset, of_which_there_are_too_many)
{
	struct arena arena;

	open_arena(&arena);
	cr_assert_eq(semset_new(&arena, ARENA_TAKE_MAX / sizeof(struct semset_one)), -ENOMEM);
	cr_assert_eq(semset_new(&arena, UINT64_MAX), -ENOMEM);
	cr_assert_eq(semset_new(&arena, UINT64_MAX / 8), -ENOMEM);
	cr_assert_null(semset_at(&arena, 64, UINT64_MAX / 8));
}

/* Offsets that lead out of it, other counts, values that no semaphore has. */
Test(semset, is_not_trusted)
{
	struct sembuf operations[2] = {{.sem_num = 1, .sem_op = 1}, {.sem_num = 1, .sem_op = 1}};
	static const int32_t values[] = {-1, 32768, INT32_MAX, INT32_MIN};
	int16_t adjust[3] = {1, 1, 1};
	struct semset_block block;
	struct arena arena;
	const struct semset *set;
	uint64_t at;

	open_arena(&arena);
	at = (uint64_t)semset_new(&arena, 3);
	arena_commit(&arena);
	for (uint64_t far = 1; far; far <<= 1)
		cr_assert_null(semset_at(&arena, far & 63 ? 0 : far << 20, 3));
	cr_assert_null(semset_at(&arena, at, 4));
	cr_assert_eq(semset_operate(&arena, at, 4, operations, 2, NULL, 1, 1, &block), -EBADMSG);
	cr_assert_eq(semset_set(&arena, at, 3, 3, 1, 1), -EBADMSG);
	cr_assert_eq(semset_undo(&arena, UINT64_MAX - 8, 3, adjust, 1, 1), -EBADMSG);
	set = semset_at(&arena, at, 3);
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		struct semset_one one = {values[i], 1};

		arena_fill(&arena, &set->one[1], &one, sizeof one);
		cr_assert_eq(semset_operate(&arena, at, 3, operations, 2, NULL, 1, 1, &block),
		             -EBADMSG);
		cr_assert_eq(semset_undo(&arena, at, 3, adjust, 1, 1), 0);
		cr_assert(set->one[1].value >= 0 && set->one[1].value <= 32767);
		arena_commit(&arena);
	}
}
