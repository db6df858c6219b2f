/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a killed writer leaves is what its last turn left, whether the file is mapped or copied. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"

enum { KILLS = 300, COUNT_MAX = 60, BLOCK_MOST = 20000 };

static const struct arena_shape shape = {.size = 64 << 20, .log = 1 << 16, .tables = 1 << 20};

/* At the start of the tables: a stack of blocks. */
struct stack {
	uint64_t first;
	uint64_t count;
	uint64_t bytes;
};

struct block {
	uint64_t next;
	uint64_t size; /* of all */
	unsigned char bytes[];
};

static const struct stack *stack_of(const struct arena *arena)
{
	return arena_at(arena, arena_tables(arena), sizeof(struct stack));
}

static int push(struct arena *arena, size_t size)
{
	const struct stack *stack = stack_of(arena);
	int64_t at = arena_take(arena, size);
	const struct block *block;
	char bytes[BLOCK_MOST];
	struct block head = {stack->first, size};

	if (at < 0)
		return (int)at;
	block = arena_at(arena, (uint64_t)at, size);
	memset(bytes, (int)(size & 0xff), size);
	memcpy(bytes, &head, sizeof head);
	arena_fill(arena, block, bytes, size);
	ARENA_SET(arena, stack->first, (uint64_t)at);
	ARENA_SET(arena, stack->count, stack->count + 1);
	ARENA_SET(arena, stack->bytes, stack->bytes + size);
	return 0;
}

static void pop(struct arena *arena)
{
	const struct stack *stack = stack_of(arena);
	uint64_t at = stack->first;
	const struct block *block = arena_at(arena, at, sizeof *block);
	size_t size;

	if (!block)
		return;
	size = block->size;
	ARENA_SET(arena, stack->first, block->next);
	ARENA_SET(arena, stack->count, stack->count - 1);
	ARENA_SET(arena, stack->bytes, stack->bytes - size);
	arena_give(arena, at, size);
}

static void check(const struct arena *arena)
{
	const struct stack *stack = stack_of(arena);
	uint64_t bytes = 0;
	uint64_t count = 0;
	uint64_t at = stack->first;

	while (at && count <= stack->count) {
		const struct block *block = arena_at(arena, at, sizeof *block);

		cr_assert(block);
		cr_assert(arena_at(arena, at, block->size));
		for (size_t i = 0; i < block->size - sizeof *block; i++)
			cr_assert_eq(block->bytes[i], block->size & 0xff, "byte %zu", i);
		bytes += block->size;
		count++;
		at = block->next;
	}
	cr_assert_eq(count, stack->count);
	cr_assert_eq(bytes, stack->bytes);
}

static void turn(struct arena *arena, unsigned *seed)
{
	unsigned steps = 1 + rand_r(seed) % 6;

	while (steps--) {
		size_t size = sizeof(struct block) + (size_t)rand_r(seed) % 300;

		if (rand_r(seed) % 8 == 0)
			size += (size_t)rand_r(seed) % (BLOCK_MOST - 400);
		if (stack_of(arena)->count >= COUNT_MAX || rand_r(seed) % 2)
			pop(arena);
		else
			cr_assert_eq(push(arena, size), 0);
	}
	if (rand_r(seed) % 4)
		arena_commit(arena);
	else
		arena_roll_back(arena);
}

static void open_arena(struct arena *arena, int file)
{
	cr_assert_eq(arena_init(arena, dup(file), &shape), 0);
	if (arena_is_dirty(arena))
		arena_roll_back(arena);
	cr_assert_eq(arena_claim(arena, arena_tables(arena), sizeof(struct stack)), 0);
}

static void write_until_killed(int file, unsigned seed)
{
	struct arena arena;

	open_arena(&arena, file);
	for (;;)
		turn(&arena, &seed);
}

static void nap(unsigned *seed)
{
	struct timespec time = {.tv_nsec = rand_r(seed) % 3000000};

	nanosleep(&time, NULL);
}

static void kill_writers(void)
{
	int file = memfd_create("arena", MFD_CLOEXEC);
	unsigned seed = 7;
	uint64_t most = 0;
	struct arena arena;

	for (int i = 0; i < KILLS; i++) {
		pid_t writer = fork();

		if (writer == 0)
			write_until_killed(file, (unsigned)i);
		nap(&seed);
		kill(writer, SIGKILL);
		waitpid(writer, NULL, 0);
		open_arena(&arena, file);
		check(&arena);
		if (stack_of(&arena)->count > most)
			most = stack_of(&arena)->count;
		arena_deinit(&arena);
	}
	cr_assert_gt(most, 3);
	close(file);
}

/* No file can be mapped shared any more. */
static void refuse_mapping(void)
{
	const unsigned flags = offsetof(struct seccomp_data, args[3]);
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, flags),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_SHARED, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof rules / sizeof rules[0], rules};

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

Test(arena, a_kill_leaves_whole_turns)
{
	kill_writers();
}

Test(arena, a_kill_leaves_whole_turns_where_nothing_is_mapped)
{
	struct arena arena;

	refuse_mapping();
	open_arena(&arena, memfd_create("arena", 0));
	cr_assert(!arena.is_mapped);
	arena_deinit(&arena);
	kill_writers();
}

Test(arena, a_turn_that_is_too_long_is_none)
{
	struct arena arena;
	char bytes[1000] = "x";

	open_arena(&arena, memfd_create("arena", 0));
	for (int i = 0; i < 100; i++)
		arena_set(&arena, stack_of(&arena), bytes, sizeof bytes);
	cr_expect(arena_has_overflowed(&arena));
	cr_expect_eq(arena_room(&arena), 0);
	arena_commit(&arena);
	cr_expect(!arena_has_overflowed(&arena));
	cr_expect_eq(stack_of(&arena)->first, 0);
	cr_expect_eq(arena_room(&arena), shape.log);
	arena_deinit(&arena);
}

Test(arena, what_was_given_back_is_not_taken_in_the_same_turn)
{
	struct arena arena;
	int64_t first;
	int64_t other;

	open_arena(&arena, memfd_create("arena", 0));
	first = arena_take(&arena, 100);
	other = arena_take(&arena, 100);
	arena_commit(&arena);
	arena_give(&arena, (uint64_t)first, 100);
	cr_expect_neq(arena_take(&arena, 100), first);
	arena_commit(&arena);
	cr_expect_eq(arena_take(&arena, 128), first);
	cr_expect_eq(other % 64, 0);
	cr_expect_eq(arena_take(&arena, ARENA_TAKE_MAX + 1), -ENOMEM);
	cr_expect_gt(arena_take(&arena, ARENA_TAKE_MAX), 0);
	arena_deinit(&arena);
}

Test(arena, memory_goes_back_when_nothing_is_taken)
{
	struct arena arena;
	struct stat before;
	struct stat status;
	int file = memfd_create("arena", 0);

	open_arena(&arena, file);
	fstat(file, &before);
	for (int i = 0; i < 1000; i++)
		if (push(&arena, BLOCK_MOST) == 0)
			arena_commit(&arena);
	check(&arena);
	for (int i = 0; i < 1000; i++) {
		pop(&arena);
		arena_commit(&arena);
	}
	fstat(file, &status);
	cr_expect_eq(status.st_blocks, before.st_blocks);
	cr_expect_eq(push(&arena, 100), 0);
	arena_commit(&arena);
	check(&arena);
	arena_deinit(&arena);
}

Test(arena, what_is_no_arena_is_refused)
{
	struct arena arena;
	struct arena_shape odd = shape;
	char nonsense[4096];

	cr_expect_eq(arena_init(&arena, memfd_create("arena", 0), NULL), -EBADMSG);
	odd.log = 1000;
	cr_expect_eq(arena_init(&arena, memfd_create("arena", 0), &odd), -EBADMSG);
	odd = shape;
	odd.tables = shape.size;
	cr_expect_eq(arena_init(&arena, memfd_create("arena", 0), &odd), -EBADMSG);

	int file = memfd_create("arena", 0);

	memset(nonsense, 'n', sizeof nonsense);
	cr_assert_eq(write(file, nonsense, sizeof nonsense), sizeof nonsense);
	cr_expect_eq(arena_init(&arena, file, &shape), -EBADMSG);
	cr_expect_eq(arena.fd, -1);
}

/* Whatever a stranger has written there, nothing is touched but the arena. */
Test(arena, nonsense_does_no_harm)
{
	unsigned seed = 3;

	for (int i = 0; i < 300; i++) {
		int file = memfd_create("arena", 0);
		struct arena arena;
		char bytes[4096];

		open_arena(&arena, file);
		turn(&arena, &seed);
		/* But magic, version and shape. */
		for (size_t at = 0; at < sizeof bytes; at++)
			bytes[at] = (char)(rand_r(&seed) % 3 ? 0 : rand_r(&seed));
		cr_assert_gt(pwrite(file, bytes, sizeof bytes - 40, 40), 0);
		cr_assert_gt(pwrite(file, bytes, sizeof bytes, 4096), 0);
		if (arena_init(&arena, file, NULL) == 0) {
			arena_roll_back(&arena);
			for (int j = 0; j < 20; j++) {
				int64_t at = arena_take(&arena, (size_t)rand_r(&seed) % 1000);

				if (at > 0)
					cr_assert(arena_at(&arena, (uint64_t)at, 1));
				arena_give(&arena, (uint64_t)rand_r(&seed), 100);
			}
			arena_commit(&arena);
			arena_deinit(&arena);
		}
	}
}
