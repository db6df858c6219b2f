/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/slots.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/msg.h>

#include "base/sys.h"

/* A word: 2 bits what it is, 1 frozen, 17 the message's size, 15 the claim's owner, 29 how often it
 * was used. */
enum slot_state { SLOT_FREE, SLOT_CLAIMED, SLOT_READY };

enum {
	STATE_BITS = 2,
	FROZEN_AT = STATE_BITS,
	SIZE_AT = FROZEN_AT + 1,
	SIZE_BITS = 17,
	OWNER_AT = SIZE_AT + SIZE_BITS,
	OWNER_BITS = 15,
	USE_AT = OWNER_AT + OWNER_BITS,
	ROOM_MAX = 65536,
	PAGE = 4096,
	/* Under a hail of messages the best of those that were seen is good enough. */
	LOOKS_MAX = 64,
};

#define FROZEN (UINT64_C(1) << FROZEN_AT)
#define ONE_USE (UINT64_C(1) << USE_AT)
#define USES (~(ONE_USE - 1))

_Static_assert(USE_AT < 40, "uses wrap around late");

static enum slot_state state_of(uint64_t word)
{
	return (enum slot_state)(word & ((1U << STATE_BITS) - 1));
}

static size_t size_of(uint64_t word)
{
	return word >> SIZE_AT & ((1U << SIZE_BITS) - 1);
}

static unsigned owner_of(uint64_t word)
{
	return (unsigned)(word >> OWNER_AT) & ((1U << OWNER_BITS) - 1);
}

static uint64_t word_of(enum slot_state state, size_t size, unsigned owner, uint64_t before)
{
	return (uint64_t)state | (before & FROZEN) | (uint64_t)size << SIZE_AT |
	       (uint64_t)owner << OWNER_AT | (before & USES);
}

/* What it becomes when its message, or its claim, is gone. */
static uint64_t freed(uint64_t word)
{
	return word_of(SLOT_FREE, 0, 0, word + ONE_USE);
}

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static bool swap(uint64_t *word, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n(word, &from, to, false, __ATOMIC_SEQ_CST,
	                                   __ATOMIC_SEQ_CST);
}

static size_t up(size_t size, size_t unit)
{
	return (size + unit - 1) / unit * unit;
}

static size_t words_at(void)
{
	return up(sizeof(struct slots_head), 64);
}

static size_t notes_at(uint32_t count)
{
	return up(words_at() + count * sizeof(uint64_t), 64);
}

static size_t bytes_at(uint32_t count)
{
	return up(notes_at(count) + count * sizeof(struct slots_note), PAGE);
}

size_t slots_size(uint32_t count, size_t room)
{
	return bytes_at(count) + up(count * up(room, 64), PAGE);
}

static void look(struct slots *ret_slots, char *memory, const struct slots_shape *shape)
{
	*ret_slots = (struct slots){
		.head = (struct slots_head *)memory,
		.words = (uint64_t *)(memory + words_at()),
		.notes = (struct slots_note *)(memory + notes_at(shape->count)),
		.bytes = memory + bytes_at(shape->count),
		.kind = shape->kind,
		.count = shape->count,
		.room = shape->room,
	};
}

void slots_make(void *memory, enum queue_kind kind, uint32_t count, size_t room,
                uint64_t bytes_max)
{
	struct slots_head *head = memory;
	struct slots slots;

	*head = (struct slots_head){
		.kind = kind,
		.count = count,
		.room = room,
		.bytes_max = bytes_max,
		.sequence = 1,
	};
	look(&slots, memory, &(struct slots_shape){kind, count, room});
	for (uint32_t i = 0; i < count; i++)
		slots.words[i] = FROZEN;
}

int slots_view_as(struct slots *ret_slots, void *memory, size_t size,
                  const struct slots_shape *shape)
{
	if (shape->count < 1 || shape->count > SLOTS_COUNT_MAX || shape->room > ROOM_MAX ||
	    (shape->kind != QUEUE_SYSV && shape->kind != QUEUE_POSIX) ||
	    slots_size(shape->count, shape->room) > size)
		return -EBADMSG;
	look(ret_slots, memory, shape);
	return 0;
}

int slots_view(struct slots *ret_slots, void *memory, size_t size)
{
	struct slots_head head;
	struct slots_shape shape;

	if (size < sizeof head)
		return -EBADMSG;
	memcpy(&head, memory, sizeof head);
	if (head.room > ROOM_MAX)
		return -EBADMSG;
	shape = (struct slots_shape){(enum queue_kind)head.kind, head.count, head.room};
	return slots_view_as(ret_slots, memory, size, &shape);
}

size_t slots_room(uint32_t count, size_t size)
{
	return size < bytes_at(count) ? 0 : (size - bytes_at(count)) / count / 64 * 64;
}

static char *place_of(const struct slots *slots, uint32_t at)
{
	return slots->bytes + at * up(slots->room, 64);
}

void slots_wake(uint32_t *word, int most)
{
	sys_call(SYS_futex, (long)word, FUTEX_WAKE, most, 0, 0, 0);
}

/* Those who wait for a message of System V may not all wait for the same. */
static void tick_arrival(struct slots_head *head, int count)
{
	__atomic_fetch_add(&head->arrivals, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&head->receivers, __ATOMIC_SEQ_CST))
		slots_wake(&head->arrivals,
		           __atomic_load_n(&head->choosy, __ATOMIC_SEQ_CST) ? INT_MAX : count);
}

static void tick_departure(struct slots_head *head, int count)
{
	__atomic_fetch_add(&head->departures, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&head->senders, __ATOMIC_SEQ_CST))
		slots_wake(&head->departures, count);
}

void slots_wake_all(const struct slots *slots)
{
	__atomic_fetch_add(&slots->head->arrivals, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&slots->head->departures, 1, __ATOMIC_SEQ_CST);
	slots_wake(&slots->head->arrivals, INT_MAX);
	slots_wake(&slots->head->departures, INT_MAX);
}

void slots_wake_for(const struct slots *slots, int more)
{
	if (more > 0)
		tick_arrival(slots->head, more);
	else if (more < 0)
		tick_departure(slots->head, -more);
	else
		slots_wake_all(slots);
}

/* The words as they are: what there is, and whether somebody is in the middle of a call. */
struct census {
	uint32_t messages, claims;
	uint64_t bytes; /* of both */
	bool frozen;
};

static struct census count_slots(const struct slots *slots)
{
	struct census census = {0};

	for (uint32_t i = 0; i < slots->count; i++) {
		uint64_t word = load(&slots->words[i]);

		census.frozen |= (word & FROZEN) != 0;
		census.messages += state_of(word) == SLOT_READY;
		census.claims += state_of(word) == SLOT_CLAIMED;
		census.bytes += size_of(word);
	}
	return census;
}

int slots_count(const struct slots *slots, uint64_t *ret_bytes)
{
	uint64_t bytes = 0;
	int count = 0;

	for (uint32_t i = 0; i < slots->count; i++) {
		uint64_t word = load(&slots->words[i]);

		if (word & FROZEN)
			return -1;
		if (state_of(word) != SLOT_READY)
			continue;
		count++;
		bytes += size_of(word);
	}
	*ret_bytes = bytes;
	return count;
}

static bool has_sent(const struct slots *slots, unsigned owner)
{
	for (uint32_t i = 0; i < slots->count; i++) {
		uint64_t word = load(&slots->words[i]);

		if (state_of(word) == SLOT_READY && owner_of(word) == owner)
			return true;
	}
	return false;
}

/* It may have been woken, or it may not have come to wake those who wait for what it has sent or
 * made room for. Nobody else sleeps who is to have what there is, but the choosy. */
void slots_wake_instead(const struct slots *slots, unsigned owner)
{
	struct census census = count_slots(slots);
	bool choosy = __atomic_load_n(&slots->head->choosy, __ATOMIC_SEQ_CST);
	uint32_t spare = slots->count - census.messages - census.claims;

	if (census.frozen)
		return;
	if (census.messages &&
	    (!choosy || has_sent(slots, owner) ||
	     __atomic_load_n(&slots->head->crowds[owner % SLOTS_CROWDS], __ATOMIC_SEQ_CST)))
		slots_wake(&slots->head->arrivals, choosy ? INT_MAX : (int)census.messages);
	if (spare)
		slots_wake(&slots->head->departures, (int)spare);
}

enum { NO_SLOT = -1 };

/* Claims a free slot: its number, NO_SLOT if there is none, or what stands in the way. */
static int claim(const struct slots *slots, unsigned owner, size_t size, uint64_t *ret_word,
                 bool *ret_ask)
{
	uint32_t start = __atomic_load_n(&slots->head->next, __ATOMIC_RELAXED) % slots->count;

	for (uint32_t i = 0; i < slots->count; i++) {
		uint32_t at = start + i < slots->count ? start + i : start + i - slots->count;
		uint64_t word = load(&slots->words[at]);
		uint64_t mine = word_of(SLOT_CLAIMED, size, owner, word);

		*ret_ask = (word & FROZEN) != 0;
		if (*ret_ask)
			return NO_SLOT;
		if (state_of(word) != SLOT_FREE || !swap(&slots->words[at], word, mine))
			continue;
		__atomic_store_n(&slots->head->next, at + 1, __ATOMIC_RELAXED);
		*ret_word = mine;
		return (int)at;
	}
	return NO_SLOT;
}

static bool is_claim_of(uint64_t word, unsigned owner)
{
	return state_of(word) == SLOT_CLAIMED && owner_of(word) == owner;
}

/* Gives a claim up, which may have been frozen, and thawed again, meanwhile. Nobody of the same
 * owner can have claimed it until then. */
static void give_up(const struct slots *slots, int at, unsigned owner)
{
	uint64_t word = load(&slots->words[at]);

	while (is_claim_of(word, owner) && !swap(&slots->words[at], word, freed(word)))
		word = load(&slots->words[at]);
}

/* Only the daemon can tell whether it fits if others are at it, or if there are more than slots. */
static bool fits(const struct slots *slots)
{
	uint64_t most = __atomic_load_n(&slots->head->bytes_max, __ATOMIC_RELAXED);
	struct census census = count_slots(slots);

	return census.bytes <= most && census.messages + census.claims <= most;
}

static int judge(const struct slots *slots, size_t size)
{
	if (size <= slots->room)
		return 0;
	return slots->kind == QUEUE_SYSV ? -EINVAL : -EMSGSIZE;
}

static void note(struct slots_head *head, int which, const struct queue_stamp *stamp)
{
	__atomic_store_n(&head->pid[which], stamp->pid, __ATOMIC_RELAXED);
	__atomic_store_n(&head->time[which], stamp->now, __ATOMIC_RELAXED);
}

static void note_size(struct slots_head *head, uint64_t size)
{
	uint64_t largest = __atomic_load_n(&head->largest, __ATOMIC_RELAXED);

	while (largest < size &&
	       !__atomic_compare_exchange_n(&head->largest, &largest, size, true, __ATOMIC_RELAXED,
	                                    __ATOMIC_RELAXED))
		;
}

bool slots_is_tight(const struct slots *slots, const struct queue_wish *wish)
{
	return slots->kind == QUEUE_SYSV && !(wish->flags & MSG_NOERROR) &&
	       wish->room < __atomic_load_n(&slots->head->largest, __ATOMIC_RELAXED);
}

/* None is free. Whoever has claimed one may never come to an end: then only the daemon gets on. */
static int full(const struct slots *slots)
{
	if (slots->kind == QUEUE_SYSV)
		return SLOTS_ASK;
	return count_slots(slots).messages == slots->count ? -EAGAIN : SLOTS_ASK;
}

int slots_send(const struct slots *slots, unsigned owner, int64_t type, const void *bytes,
               size_t size, const struct queue_stamp *stamp)
{
	int result = judge(slots, size);
	bool ask = false;
	uint64_t mine;
	int at;

	if (result < 0)
		return result;
	at = claim(slots, owner, size, &mine, &ask);
	if (at == NO_SLOT)
		return ask ? SLOTS_ASK : full(slots);
	if (slots->kind == QUEUE_SYSV && !fits(slots)) {
		give_up(slots, at, owner);
		return SLOTS_ASK;
	}
	note_size(slots->head, size);
	memcpy(place_of(slots, (uint32_t)at), bytes, size);
	__atomic_store_n(&slots->notes[at].type, type, __ATOMIC_RELAXED);
	__atomic_store_n(&slots->notes[at].sequence,
	                 __atomic_fetch_add(&slots->head->sequence, 1, __ATOMIC_SEQ_CST),
	                 __ATOMIC_RELAXED);
	if (!swap(&slots->words[at], mine, word_of(SLOT_READY, size, owner, mine))) {
		give_up(slots, at, owner);
		return SLOTS_ASK;
	}
	note(slots->head, 0, stamp);
	tick_arrival(slots->head, 1);
	return 0;
}

/* One that is ready. */
struct candidate {
	int at; /* NO_SLOT: none */
	uint64_t word;
	struct slots_note note;
};

/* msgrcv(2)'s msgtyp. */
static bool is_wished(const struct slots *slots, const struct queue_wish *wish, int64_t type)
{
	if (slots->kind == QUEUE_POSIX || wish->type == 0)
		return true;
	if (wish->type < 0)
		return wish->type == INT64_MIN || type <= -wish->type;
	return wish->flags & MSG_EXCEPT ? type != wish->type : type == wish->type;
}

static bool is_better(const struct slots *slots, const struct queue_wish *wish,
                      const struct slots_note *one, const struct slots_note *other)
{
	if (slots->kind == QUEUE_POSIX && one->type != other->type)
		return one->type > other->type;
	if (slots->kind == QUEUE_SYSV && wish->type < 0 && one->type != other->type)
		return one->type < other->type;
	return one->sequence < other->sequence;
}

/* The best of those that were ready throughout. False: one is frozen. What is sent while we look
 * is not looked at: what the same sender has sent just before may be in a slot that we have passed
 * already, and must not be overtaken. */
static bool find_best(const struct slots *slots, const struct queue_wish *wish,
                      struct candidate *ret_best)
{
	uint64_t end = __atomic_load_n(&slots->head->sequence, __ATOMIC_SEQ_CST);

	*ret_best = (struct candidate){.at = NO_SLOT};
	for (uint32_t i = 0; i < slots->count; i++) {
		struct candidate one = {.at = (int)i, .word = load(&slots->words[i])};

		if (one.word & FROZEN)
			return false;
		if (state_of(one.word) != SLOT_READY)
			continue;
		one.note.type = __atomic_load_n(&slots->notes[i].type, __ATOMIC_RELAXED);
		one.note.sequence = __atomic_load_n(&slots->notes[i].sequence, __ATOMIC_ACQUIRE);
		if (load(&slots->words[i]) != one.word || one.note.sequence >= end ||
		    !is_wished(slots, wish, one.note.type))
			continue;
		if (ret_best->at == NO_SLOT ||
		    is_better(slots, wish, &one.note, &ret_best->note))
			*ret_best = one;
	}
	return true;
}

/* Copies it and takes it: its size, -E2BIG, or -EAGAIN: somebody else has. */
static int64_t take(const struct slots *slots, const struct queue_wish *wish,
                    const struct candidate *best, void *room)
{
	size_t size = size_of(best->word);
	size_t wanted = size < wish->room ? size : wish->room;
	uint64_t *word = &slots->words[best->at];

	if (size > slots->room)
		return -EAGAIN;
	if (size > wish->room && !(wish->flags & MSG_NOERROR))
		return load(word) == best->word ? -E2BIG : -EAGAIN;
	memcpy(room, place_of(slots, (uint32_t)best->at), wanted);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return swap(word, best->word, freed(best->word)) ? (int64_t)wanted : -EAGAIN;
}

int64_t slots_receive(const struct slots *slots, const struct queue_wish *wish, void *room,
                      int64_t *ret_type, const struct queue_stamp *stamp, bool *ret_ask)
{
	*ret_ask = false;
	for (int looks = 0; looks < LOOKS_MAX; looks++) {
		uint32_t before = slots_tick(&slots->head->arrivals);
		struct candidate best;
		int64_t size;

		*ret_ask = !find_best(slots, wish, &best);
		if (*ret_ask)
			return 0;
		/* What came while we looked may be better than what we saw, or all there is. */
		if (slots_tick(&slots->head->arrivals) != before && looks < LOOKS_MAX / 2)
			continue;
		if (best.at == NO_SLOT)
			return -EAGAIN;
		size = take(slots, wish, &best, room);
		if (size == -EAGAIN)
			continue;
		if (size < 0)
			return size;
		*ret_type = best.note.type;
		note(slots->head, 1, stamp);
		tick_departure(slots->head, 1);
		return size;
	}
	*ret_ask = true;
	return 0;
}

void slots_freeze(const struct slots *slots)
{
	__atomic_store_n(&slots->head->owed, 1, __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < slots->count; i++)
		__atomic_fetch_or(&slots->words[i], FROZEN, __ATOMIC_SEQ_CST);
}

int64_t slots_next_frozen(const struct slots *slots, uint64_t *sequence, int64_t *ret_type,
                          const void **ret_bytes)
{
	struct candidate first = {.at = NO_SLOT};

	for (uint32_t i = 0; i < slots->count; i++) {
		struct candidate one = {
			.at = (int)i,
			.word = load(&slots->words[i]),
			.note.sequence = __atomic_load_n(&slots->notes[i].sequence,
			                                 __ATOMIC_RELAXED),
			.note.type = __atomic_load_n(&slots->notes[i].type, __ATOMIC_RELAXED),
		};

		if (state_of(one.word) != SLOT_READY || size_of(one.word) > slots->room ||
		    one.note.sequence <= *sequence)
			continue;
		if (first.at == NO_SLOT || one.note.sequence < first.note.sequence)
			first = one;
	}
	if (first.at == NO_SLOT)
		return -ENOENT;
	*sequence = first.note.sequence;
	*ret_type = first.note.type;
	*ret_bytes = place_of(slots, (uint32_t)first.at);
	return (int64_t)size_of(first.word);
}

uint32_t slots_claims(const struct slots *slots)
{
	return count_slots(slots).claims;
}

/* Claims stay, as their owners may write there still, but come to nothing: their messages would
 * have sequences that are lower than those that what was sent before is about to get. */
void slots_clear_frozen(const struct slots *slots)
{
	for (uint32_t i = 0; i < slots->count; i++) {
		uint64_t word = load(&slots->words[i]);
		bool is_claim = state_of(word) == SLOT_CLAIMED;

		swap(&slots->words[i], word, is_claim ? word + ONE_USE : freed(word));
	}
}

int slots_put_frozen(const struct slots *slots, int64_t type, const void *bytes, size_t size)
{
	if (size > slots->room)
		return -EMSGSIZE;
	note_size(slots->head, size);
	for (uint32_t i = 0; i < slots->count; i++) {
		uint64_t word = load(&slots->words[i]);

		if (state_of(word) != SLOT_FREE)
			continue;
		memcpy(place_of(slots, i), bytes, size);
		slots->notes[i].type = type;
		slots->notes[i].sequence = __atomic_fetch_add(&slots->head->sequence, 1,
		                                              __ATOMIC_SEQ_CST);
		if (swap(&slots->words[i], word, word_of(SLOT_READY, size, 0, word)))
			return 0;
	}
	return -EAGAIN;
}

void slots_thaw(const struct slots *slots)
{
	for (uint32_t i = 0; i < slots->count; i++)
		__atomic_fetch_and(&slots->words[i], ~FROZEN, __ATOMIC_SEQ_CST);
}

void slots_settle(const struct slots *slots)
{
	__atomic_store_n(&slots->head->owed, 0, __ATOMIC_SEQ_CST);
}

void slots_release(const struct slots *slots, unsigned owner)
{
	for (uint32_t i = 0; i < slots->count; i++) {
		uint64_t word = load(&slots->words[i]);

		while (is_claim_of(word, owner) && !swap(&slots->words[i], word, freed(word)))
			word = load(&slots->words[i]);
	}
}

void slots_abandon(const struct slots *slots)
{
	slots_freeze(slots);
	__atomic_store_n(&slots->head->gone, 1, __ATOMIC_SEQ_CST);
	slots_wake_all(slots);
}
