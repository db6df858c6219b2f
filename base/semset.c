/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* After what semop(2) has to do at once. Values are taken as they are: a set that was broken has
 * wrong values, and nothing else is wrong then. */
#include "base/semset.h"

#include <errno.h>

enum { LOG_MORE = 16, CHUNK = 64 };

static const struct semset_one zeros[CHUNK];

static uint64_t size_of(uint64_t count)
{
	return sizeof(struct semset) + count * sizeof(struct semset_one);
}

static bool is_too_large(uint64_t count)
{
	return count > (ARENA_TAKE_MAX - sizeof(struct semset)) / sizeof(struct semset_one);
}

int64_t semset_new(struct arena *arena, uint64_t count)
{
	struct semset head = {.count = count};
	const struct semset *set;
	int64_t at;

	if (is_too_large(count))
		return -ENOMEM;
	at = arena_take(arena, size_of(count));
	if (at < 0)
		return at;
	set = arena_at(arena, (uint64_t)at, size_of(count));
	if (!set)
		return -ENOMEM;
	arena_fill(arena, set, &head, sizeof head);
	for (uint64_t i = 0; i < count; i += CHUNK)
		arena_fill(arena, &set->one[i], zeros,
		           (count - i < CHUNK ? count - i : CHUNK) * sizeof zeros[0]);
	return at;
}

void semset_free(struct arena *arena, uint64_t at, uint64_t count)
{
	arena_give(arena, at, size_of(count));
}

const struct semset *semset_at(const struct arena *arena, uint64_t at, uint64_t count)
{
	const struct semset *set = is_too_large(count) ? NULL
	                                               : arena_at(arena, at, size_of(count));

	return set && *(const volatile uint64_t *)&set->count == count ? set : NULL;
}

/* What is before one operation of several. */
struct state {
	int32_t value;
	int32_t adjust;
};

/* Operations on one semaphore come one after the other. Most are on one each: `seen`, in which
 * every 64th number is the same, tells. */
static struct state state_before(const struct semset *set, const struct sembuf *operations,
                                 size_t at, const int16_t *adjust, uint64_t seen)
{
	uint16_t number = operations[at].sem_num;
	struct state state = {
		.value = *(const volatile int32_t *)&set->one[number].value,
		.adjust = adjust ? adjust[number] : 0,
	};

	if (!(seen & 1ULL << number % 64))
		return state;
	for (size_t i = 0; i < at; i++) {
		if (operations[i].sem_num != number)
			continue;
		state.value += operations[i].sem_op;
		if (operations[i].sem_flg & SEM_UNDO)
			state.adjust -= operations[i].sem_op;
	}
	return state;
}

static bool is_in_the_way(const struct sembuf *operation, int32_t value)
{
	return operation->sem_op == 0 ? value != 0 : value + operation->sem_op < 0;
}

static bool is_out_of_range(const struct sembuf *operation, const struct state *before)
{
	int32_t adjust = before->adjust - operation->sem_op;

	return before->value + operation->sem_op > SEMSET_VALUE_MAX ||
	       ((operation->sem_flg & SEM_UNDO) &&
	        (adjust < -SEMSET_ADJUST_MAX - 1 || adjust > SEMSET_ADJUST_MAX));
}

static int try_all(const struct semset *set, const struct sembuf *operations, size_t count,
                   const int16_t *adjust, struct semset_block *ret_block)
{
	uint64_t seen = 0;

	for (size_t i = 0; i < count; i++) {
		const struct sembuf *operation = &operations[i];
		struct state before = state_before(set, operations, i, adjust, seen);

		if (before.value < 0 || before.value > SEMSET_VALUE_MAX)
			return -EBADMSG;
		if (is_in_the_way(operation, before.value)) {
			*ret_block = (struct semset_block){
				.number = operation->sem_num,
				.on_zero = operation->sem_op == 0,
				.no_wait = operation->sem_flg & IPC_NOWAIT,
			};
			return -EAGAIN;
		}
		if (is_out_of_range(operation, &before))
			return -ERANGE;
		seen |= 1ULL << operation->sem_num % 64;
	}
	return 0;
}

int semset_operate(struct arena *arena, uint64_t at, uint64_t semaphores,
                   const struct sembuf *operations, size_t count, const int16_t *adjust,
                   uint32_t pid, int64_t now, struct semset_block *ret_block)
{
	const struct semset *set = semset_at(arena, at, semaphores);
	int result;

	if (!set)
		return -EBADMSG;
	for (size_t i = 0; i < count; i++)
		if (operations[i].sem_num >= semaphores)
			return -EFBIG;
	result = try_all(set, operations, count, adjust, ret_block);
	if (result < 0)
		return result;
	if (arena_room(arena) < (count + 1) * (sizeof set->one[0] + LOG_MORE))
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct semset_one *one = &set->one[operations[i].sem_num];
		struct semset_one after = *one;

		after.value += operations[i].sem_op;
		after.pid = pid;
		if (after.value != one->value || after.pid != one->pid)
			arena_set(arena, one, &after, sizeof after);
	}
	if (set->otime != now)
		arena_set(arena, &set->otime, &now, sizeof now);
	return 0;
}

int semset_set(struct arena *arena, uint64_t at, uint64_t semaphores, uint16_t number,
               int32_t value, uint32_t pid)
{
	const struct semset *set = semset_at(arena, at, semaphores);
	struct semset_one one = {value, pid};

	if (!set || number >= semaphores)
		return -EBADMSG;
	arena_set(arena, &set->one[number], &one, sizeof one);
	return 0;
}

static bool has_room_for_all(const struct arena *arena, uint64_t semaphores)
{
	uint64_t chunks = semaphores / CHUNK + 2;

	return arena_room(arena) >= chunks * (sizeof zeros + LOG_MORE);
}

static void put(struct arena *arena, const struct semset *set, uint64_t first, uint64_t count,
                const struct semset_one *ones)
{
	if (count)
		arena_set(arena, &set->one[first], ones, count * sizeof ones[0]);
}

int semset_set_all(struct arena *arena, uint64_t at, uint64_t semaphores, const uint16_t *values,
                   uint32_t pid)
{
	const struct semset *set = semset_at(arena, at, semaphores);
	struct semset_one ones[CHUNK];

	if (!set)
		return -EBADMSG;
	if (!has_room_for_all(arena, semaphores))
		return -ENOMEM;
	for (uint64_t i = 0; i < semaphores; i++) {
		ones[i % CHUNK] = (struct semset_one){values[i], pid};
		if (i % CHUNK == CHUNK - 1)
			put(arena, set, i - i % CHUNK, CHUNK, ones);
	}
	put(arena, set, semaphores - semaphores % CHUNK, semaphores % CHUNK, ones);
	return 0;
}

static struct semset_one adjusted(struct semset_one one, int16_t adjust, uint32_t pid)
{
	int64_t value = (int64_t)one.value + adjust;

	if (value < 0)
		value = 0;
	if (value > SEMSET_VALUE_MAX)
		value = SEMSET_VALUE_MAX;
	return (struct semset_one){(int32_t)value, pid};
}

/* In chunks, from the first to the last that is adjusted in each: where all are, in a large set, it
 * is little more that goes to the log than the set. */
int semset_undo(struct arena *arena, uint64_t at, uint64_t semaphores, const int16_t *adjust,
                uint32_t pid, int64_t now)
{
	const struct semset *set = semset_at(arena, at, semaphores);
	struct semset_one ones[CHUNK];

	if (!set)
		return -EBADMSG;
	if (!has_room_for_all(arena, semaphores))
		return -ENOMEM;
	for (uint64_t begin = 0; adjust && begin < semaphores; begin += CHUNK) {
		uint64_t end = begin + CHUNK < semaphores ? begin + CHUNK : semaphores;
		uint64_t first = end;
		uint64_t past = end;

		for (uint64_t i = begin; i < end; i++) {
			ones[i - begin] = set->one[i];
			if (!adjust[i])
				continue;
			ones[i - begin] = adjusted(set->one[i], adjust[i], pid);
			first = first < i ? first : i;
			past = i + 1;
		}
		if (first < end)
			put(arena, set, first, past - first, ones + (first - begin));
	}
	arena_set(arena, &set->otime, &now, sizeof now);
	return 0;
}
