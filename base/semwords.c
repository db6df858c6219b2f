/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/semwords.h"

#include <errno.h>
#include <limits.h>

/* A word: 31 bits the value, 1 frozen, 32 who was the last. */
enum { FROZEN_AT = 31, PID_AT = 32 };

enum { SEMWORDS_WAITS = INT_MIN }; /* no errno */

#define FROZEN (UINT64_C(1) << FROZEN_AT)
#define VALUE (FROZEN - 1)

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

size_t semwords_size(uint32_t count)
{
	return sizeof(struct semwords_head) + count * sizeof(uint64_t);
}

void semwords_make(void *memory, uint32_t count)
{
	struct semwords_head *head = memory;

	head->count = count;
	for (uint32_t i = 0; i < count; i++)
		head->word[i] = FROZEN;
}

int semwords_view_as(struct semwords *ret_words, void *memory, size_t size, uint32_t count)
{
	if (count > SEMWORDS_COUNT_MAX || semwords_size(count) > size)
		return -EBADMSG;
	*ret_words = (struct semwords){memory, count};
	return 0;
}

int semwords_view(struct semwords *ret_words, void *memory, size_t size)
{
	const struct semwords_head *head = memory;

	if (size < sizeof *head)
		return -EBADMSG;
	return semwords_view_as(ret_words, memory, size,
	                        __atomic_load_n(&head->count, __ATOMIC_RELAXED));
}

/* What a value becomes, by one operation after the other, or -EAGAIN, -ERANGE; SEMWORDS_WAITS: it
 * can't yet, and may wait. */
static int64_t outcome(int64_t value, const struct sembuf *operations, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct sembuf *one = &operations[i];

		if ((one->sem_op == 0 && value != 0) || value + one->sem_op < 0)
			return one->sem_flg & IPC_NOWAIT ? -EAGAIN : SEMWORDS_WAITS;
		value += one->sem_op;
		if (value > SEMSET_VALUE_MAX)
			return -ERANGE;
	}
	return value;
}

bool semwords_can(const struct sembuf *operations, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if ((operations[i].sem_flg & SEM_UNDO) ||
		    operations[i].sem_num != operations[0].sem_num)
			return false;
	return true;
}

int semwords_operate(const struct semwords *words, const struct sembuf *operations, size_t count,
                     uint32_t pid, int64_t now)
{
	uint64_t *place;
	uint64_t word;
	int64_t value;

	if (!semwords_can(operations, count))
		return SEMWORDS_ASK;
	if (operations[0].sem_num >= words->count)
		return -EFBIG;
	place = &words->head->word[operations[0].sem_num];
	word = load(place);
	do {
		if (word & FROZEN)
			return SEMWORDS_ASK;
		value = outcome((int64_t)(word & VALUE), operations, count);
		if (value < 0)
			return value == SEMWORDS_WAITS ? SEMWORDS_ASK : (int)value;
	} while (!__atomic_compare_exchange_n(place, &word,
	                                      (uint64_t)value | (uint64_t)pid << PID_AT, true,
	                                      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	__atomic_store_n(&words->head->otime, now, __ATOMIC_RELAXED);
	return 0;
}

void semwords_freeze(const struct semwords *words)
{
	for (uint32_t i = 0; i < words->count; i++)
		__atomic_fetch_or(&words->head->word[i], FROZEN, __ATOMIC_SEQ_CST);
}

struct semset_one semwords_get(const struct semwords *words, uint32_t at)
{
	uint64_t word = load(&words->head->word[at]);
	uint64_t value = word & VALUE;

	return (struct semset_one){
		.value = value > SEMSET_VALUE_MAX ? SEMSET_VALUE_MAX : (int32_t)value,
		.pid = (uint32_t)(word >> PID_AT),
	};
}

void semwords_put(const struct semwords *words, uint32_t at, const struct semset_one *one)
{
	__atomic_store_n(&words->head->word[at],
	                 (uint64_t)one->value | FROZEN | (uint64_t)one->pid << PID_AT,
	                 __ATOMIC_SEQ_CST);
}

void semwords_thaw(const struct semwords *words)
{
	for (uint32_t i = 0; i < words->count; i++)
		__atomic_fetch_and(&words->head->word[i], ~FROZEN, __ATOMIC_SEQ_CST);
}

void semwords_abandon(const struct semwords *words)
{
	semwords_freeze(words);
	__atomic_store_n(&words->head->gone, 1, __ATOMIC_SEQ_CST);
}
