/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A set of System V semaphores in an arena. Nothing here waits, nothing undoes: see queue.h for
 * whose the turn is, and for why what is read is checked. While clients work on a set themselves
 * the values that count are those of its words: semwords.h. */
#ifndef SHMEMU_BASE_SEMSET_H
#define SHMEMU_BASE_SEMSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/sem.h>

#include "base/arena.h"

enum {
	SEMSET_VALUE_MAX = 32767,
	SEMSET_ADJUST_MAX = 32767, /* SEMAEM; and, below 0, one more */
};

struct semset_one {
	int32_t value;
	uint32_t pid; /* of the last operation */
};

struct semset {
	uint64_t count;
	int64_t otime; /* seconds since the epoch; 0: never */
	struct semset_one one[];
};

/* All 0: a new block. Its offset, or -ENOSPC, -ENOMEM. A set of more than fits into
 * ARENA_TAKE_MAX is -ENOMEM (32,000 do fit). */
int64_t semset_new(struct arena *arena, uint64_t count);
void semset_free(struct arena *arena, uint64_t at, uint64_t count);

/* The set, if it has `count` semaphores (which the caller knows) within the arena; else NULL. */
const struct semset *semset_at(const struct arena *arena, uint64_t at, uint64_t count);

/* Which operation stands in the way. */
struct semset_block {
	uint16_t number; /* of the semaphore */
	bool on_zero;    /* it is waited for to become 0 */
	bool no_wait;    /* that one says IPC_NOWAIT */
};

/* semop(2) of all, or none: 0, -EAGAIN and *ret_block (the first that can't be done), -ERANGE (also
 * of what `adjust`, the process's semadj of all, would become; NULL: all are 0), -EFBIG (a number
 * that is none), -ENOMEM (more than the turn can hold), -EBADMSG. The adjustments are the caller's
 * to note. */
int semset_operate(struct arena *arena, uint64_t at, uint64_t semaphores,
                   const struct sembuf *operations, size_t count, const int16_t *adjust,
                   uint32_t pid, int64_t now, struct semset_block *ret_block);

/* SETVAL, SETALL: values, by pid. 0, -EBADMSG, or -ENOMEM: more than the turn can hold. */
int semset_set(struct arena *arena, uint64_t at, uint64_t semaphores, uint16_t number,
               int32_t value, uint32_t pid);
int semset_set_all(struct arena *arena, uint64_t at, uint64_t semaphores, const uint16_t *values,
                   uint32_t pid);

/* What a process's end does: adds the adjustments (NULL: all are 0), as far as values go. The same
 * results. */
int semset_undo(struct arena *arena, uint64_t at, uint64_t semaphores, const int16_t *adjust,
                uint32_t pid, int64_t now);

#endif
