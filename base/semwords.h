/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A set of semaphores in memory that processes share, without a lock: each is one word, and all
 * operations of a call on it one compare-and-swap. The daemon can freeze the words (see slots.h),
 * and does all that is more: operations on several semaphores, undo values, waiting. */
#ifndef SHMEMU_BASE_SEMWORDS_H
#define SHMEMU_BASE_SEMWORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/sem.h>

#include "base/semset.h"

enum {
	SEMWORDS_COUNT_MAX = 500,
	SEMWORDS_ASK = 1, /* no errno: ask the daemon */
};

struct semwords_head {
	uint32_t count;
	uint32_t gone; /* 1: of no use any more */
	int64_t otime;
	uint64_t word[];
};

_Static_assert(sizeof(struct semwords_head) == 16, "no padding: programs of 32 bits share it");

/* A view of it: what bounds an access is in here. */
struct semwords {
	struct semwords_head *head;
	uint32_t count;
};

size_t semwords_size(uint32_t count);

/* Makes one, frozen, in memory that is all 0. */
void semwords_make(void *memory, uint32_t count);

/* Looks at one that is there: 0, or -EBADMSG if it is none that fits into `size` bytes. */
int semwords_view(struct semwords *ret_words, void *memory, size_t size);

/* The same if it is known how many there are, whatever the memory says. */
int semwords_view_as(struct semwords *ret_words, void *memory, size_t size, uint32_t count);

/* semop(2) of operations, one at least, on one semaphore: 0, -EFBIG, -ERANGE, -EAGAIN (with
 * IPC_NOWAIT), or SEMWORDS_ASK: it would wait, is frozen, or they are others. */
int semwords_operate(const struct semwords *words, const struct sembuf *operations, size_t count,
                     uint32_t pid, int64_t now);

/* Are they such that they could be done so? */
bool semwords_can(const struct sembuf *operations, size_t count);

/* The daemon's. Values and pids of a frozen one; they stay frozen. */
void semwords_freeze(const struct semwords *words);
struct semset_one semwords_get(const struct semwords *words, uint32_t at);
void semwords_put(const struct semwords *words, uint32_t at, const struct semset_one *one);
void semwords_thaw(const struct semwords *words);

/* Nobody is to use it any more. It stays frozen. */
void semwords_abandon(const struct semwords *words);

#endif
