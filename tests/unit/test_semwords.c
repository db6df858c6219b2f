/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Semaphores that processes share without a lock. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/semwords.h"

enum { COUNT = 3, PROCESSES = 4, ROUNDS = 50000 };

static void make(struct semwords *ret_words)
{
	size_t size = semwords_size(COUNT);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(memory, MAP_FAILED);
	semwords_make(memory, COUNT);
	cr_assert_eq(semwords_view(ret_words, memory, size - 1), -EBADMSG);
	cr_assert_eq(semwords_view(ret_words, memory, size), 0);
}

static int operate(const struct semwords *words, unsigned short at, short by, short flags)
{
	struct sembuf operation = {at, by, flags};

	return semwords_operate(words, &operation, 1, 42, 43);
}

Test(semwords, one_operation)
{
	struct semwords words;

	make(&words);
	cr_expect_eq(operate(&words, 0, 1, 0), SEMWORDS_ASK, "frozen");
	semwords_thaw(&words);
	cr_expect_eq(operate(&words, COUNT, 1, 0), -EFBIG);
	cr_expect_eq(operate(&words, 1, 5, 0), 0);
	cr_expect_eq(operate(&words, 1, -2, 0), 0);
	cr_expect_eq(semwords_get(&words, 1).value, 3);
	cr_expect_eq(semwords_get(&words, 1).pid, 42);
	cr_expect_eq(words.head->otime, 43);
	cr_expect_eq(operate(&words, 1, -4, IPC_NOWAIT), -EAGAIN);
	cr_expect_eq(operate(&words, 1, -4, 0), SEMWORDS_ASK, "would wait");
	cr_expect_eq(operate(&words, 1, 0, IPC_NOWAIT), -EAGAIN);
	cr_expect_eq(operate(&words, 0, 0, 0), 0);
	cr_expect_eq(operate(&words, 1, SEMSET_VALUE_MAX, 0), -ERANGE);
	cr_expect_eq(operate(&words, 0, SEMSET_VALUE_MAX, 0), 0);
	cr_expect_eq(operate(&words, 0, 1, 0), -ERANGE);
	cr_expect_eq(operate(&words, 2, -32768, IPC_NOWAIT), -EAGAIN);
}

static int operate_twice(const struct semwords *words, struct sembuf one, struct sembuf other)
{
	const struct sembuf both[] = {one, other};

	return semwords_operate(words, both, 2, 42, 43);
}

/* All of them, or none. */
Test(semwords, several_operations)
{
	struct sembuf zero = {1, 0, IPC_NOWAIT}, up = {1, 1, 0}, down = {1, -2, IPC_NOWAIT};
	struct semwords words;

	make(&words);
	semwords_thaw(&words);
	cr_expect_eq(operate_twice(&words, zero, up), 0);
	cr_expect_eq(operate_twice(&words, zero, up), -EAGAIN);
	cr_expect_eq(operate_twice(&words, up, down), 0);
	cr_expect_eq(semwords_get(&words, 1).value, 0);
	cr_expect_eq(operate_twice(&words, up, down), -EAGAIN);
	down.sem_flg = 0;
	cr_expect_eq(operate_twice(&words, up, down), SEMWORDS_ASK, "would wait");
	cr_expect_eq(operate_twice(&words, up, (struct sembuf){1, SEMSET_VALUE_MAX, 0}), -ERANGE);
	cr_expect_eq(operate_twice(&words, up, (struct sembuf){2, 1, 0}), SEMWORDS_ASK);
	cr_expect_eq(operate_twice(&words, up, (struct sembuf){1, 1, SEM_UNDO}), SEMWORDS_ASK);
	cr_expect_eq(semwords_get(&words, 1).value, 0);
	cr_expect_eq(semwords_get(&words, 2).value, 0);
}

Test(semwords, frozen_values)
{
	struct semset_one one = {9, 8};
	struct semwords words;

	make(&words);
	semwords_put(&words, 2, &one);
	cr_expect_eq(operate(&words, 2, 1, 0), SEMWORDS_ASK);
	semwords_thaw(&words);
	cr_expect_eq(operate(&words, 2, 1, 0), 0);
	semwords_freeze(&words);
	cr_expect_eq(operate(&words, 2, 1, 0), SEMWORDS_ASK);
	cr_expect_eq(semwords_get(&words, 2).value, 10);
	cr_expect_eq(semwords_get(&words, 2).pid, 42);
}

/* As a lock, and with freezes in between: no count is lost. */
Test(semwords, many_at_once, .timeout = 60)
{
	struct semwords words;
	int *counter = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t children[PROCESSES];

	make(&words);
	semwords_thaw(&words);
	operate(&words, 0, 1, 0);
	for (int i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		for (int j = 0; children[i] == 0 && j < ROUNDS; j++) {
			while (operate(&words, 0, -1, 0))
				;
			++*(volatile int *)counter;
			while (operate(&words, 0, 1, 0))
				;
		}
		if (children[i] == 0)
			_exit(0);
	}
	for (int i = 0; i < 1000; i++) {
		struct semset_one one;

		semwords_freeze(&words);
		one = semwords_get(&words, 0);
		semwords_put(&words, 0, &one);
		semwords_thaw(&words);
		usleep(10);
	}
	for (int i = 0; i < PROCESSES; i++)
		waitpid(children[i], NULL, 0);
	cr_expect_eq(*counter, PROCESSES * ROUNDS);
	cr_expect_eq(semwords_get(&words, 0).value, 1);
}
