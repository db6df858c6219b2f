/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A message queue in memory that processes share, without a lock: whoever is killed, stopped or
 * interrupted by a signal handler in the middle of a call keeps nobody else from anything.
 *
 * A message lies in a slot, whose word says what it is: free, being written by somebody, or ready.
 * Every change is one compare-and-swap of a word. A sender claims a free slot, fills it, and makes
 * it ready. A receiver copies the best of those that are ready, and takes it by making it free: if
 * the word has changed meanwhile, what it copied counts for nothing. The word's generation grows
 * with each use, so that a word that is equal has not been changed.
 *
 * The daemon can freeze all slots, and then nobody else changes a word, but for giving up a claim:
 * it takes the messages out in order, and later puts what there is back. Those who find a slot
 * frozen ask the daemon.
 *
 * Those who share it trust one another with its contents, but not with their memory: what is
 * read is checked against what is known beforehand. */
#ifndef SHMEMU_BASE_SLOTS_H
#define SHMEMU_BASE_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/queue.h"

enum {
	SLOTS_COUNT_MAX = 1024,
	SLOTS_OWNER_MAX = 32767,
	SLOTS_CROWDS = 64,
	SLOTS_ASK = 1, /* no errno: ask the daemon, which knows or decides */
};

struct slots_head {
	uint32_t kind;  /* enum queue_kind */
	uint32_t count;
	uint64_t room;  /* bytes of the largest message */
	uint64_t bytes_max; /* SYSV: msg_qbytes */
	uint32_t gone;  /* 1: of no use any more */
	uint32_t next;  /* the slot to try first: a guess */
	/* Futex words: they change after a message has come, or gone. Then those are woken that
	 * sleep, of whom there are at most as many as the counters say: who is killed asleep is
	 * never taken off. */
	uint32_t arrivals, departures;
	uint32_t receivers, senders;
	uint32_t choosy; /* receivers that do not take whatever comes: all are woken then */
	uint32_t owed;   /* 1: it was frozen, and who sleeps may have to be woken: slots_settle */
	uint64_t sequence; /* of the next message */
	uint64_t largest;  /* bytes of the largest message that ever came: slots_is_tight */
	/* How many calls have slept and are not at their end, of owners with this remainder.
	 * Likewise, at most. */
	uint32_t crowds[SLOTS_CROWDS];
	uint32_t pid[2];   /* as in struct queue: the last sender's and receiver's */
	int64_t time[2];
};

struct slots_note {
	int64_t type;
	uint64_t sequence;
};

_Static_assert(sizeof(struct slots_head) == 24 + 32 + 16 + 256 + 24 &&
               sizeof(struct slots_note) == 16, "no padding: programs of 32 bits share it");

/* A view of it. What bounds an access is in here, not in the shared memory. */
struct slots {
	struct slots_head *head;
	uint64_t *words;
	struct slots_note *notes;
	char *bytes;
	enum queue_kind kind;
	uint32_t count;
	size_t room;
};

/* How many bytes it takes; count is 1 to SLOTS_COUNT_MAX, room at most 65536. */
size_t slots_size(uint32_t count, size_t room);

/* Makes one, frozen and empty, in memory of slots_size() bytes that is all 0. */
void slots_make(void *memory, enum queue_kind kind, uint32_t count, size_t room,
                uint64_t bytes_max);

/* Looks at one that is there: 0, or -EBADMSG if it is none that fits into `size` bytes. */
int slots_view(struct slots *ret_slots, void *memory, size_t size);

/* The same of one whose shape is known, whatever its memory says. */
struct slots_shape {
	enum queue_kind kind;
	uint32_t count;
	size_t room;
};

int slots_view_as(struct slots *ret_slots, void *memory, size_t size,
                  const struct slots_shape *shape);

/* The room, a multiple of 64, of one of that size, if 64 divides count. */
size_t slots_room(uint32_t count, size_t size);

/* 0; -EAGAIN: is full (POSIX); -EINVAL, -EMSGSIZE as queue_send; SLOTS_ASK. `owner` is whose claim
 * it is for the time of the call, 1 to SLOTS_OWNER_MAX. */
int slots_send(const struct slots *slots, unsigned owner, int64_t type, const void *bytes,
               size_t size, const struct queue_stamp *stamp);

/* The size; -EAGAIN: there is none that is wished for; -E2BIG; SLOTS_ASK as *ret_ask (then the
 * result is 0). Without a message what is at `room` may have been written to. No MSG_COPY. */
int64_t slots_receive(const struct slots *slots, const struct queue_wish *wish, void *room,
                      int64_t *ret_type, const struct queue_stamp *stamp, bool *ret_ask);

/* Whether a receiver that waits may be told of a message that is too large for it (SYSV), which it
 * is as soon as that comes, even if another takes it: only the daemon has them in line for that.
 * A guess by what came before. */
bool slots_is_tight(const struct slots *slots, const struct queue_wish *wish);

/* How many messages are ready, and their bytes. -1: is frozen. */
int slots_count(const struct slots *slots, uint64_t *ret_bytes);

/* For sleeping: `futex` of slots_receive is &head->arrivals, of slots_send &head->departures. To
 * be read before the call that fails; then who sleeps counts itself at `sleepers`, sees whether
 * the word is still the same, sleeps, and takes itself off. */
static inline uint32_t slots_tick(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

void slots_wake(uint32_t *word, int most); /* those who sleep at it */
void slots_wake_all(const struct slots *slots);
/* So many messages have come, or, below 0, gone: those are woken who would be if clients had sent
 * or taken them. 0: what there is is another; all are. */
void slots_wake_for(const struct slots *slots, int more);
/* An owner is dead. If it may have been woken for something, as many as there is something for
 * are; else those that sleep keep their order. Of a frozen one nobody is. */
void slots_wake_instead(const struct slots *slots, unsigned owner);

/* The daemon's. Who sleeps is not woken: that is owed to them until it is known whether they have
 * missed anything, by slots_wake_for or slots_wake_all, and settled then. */
void slots_freeze(const struct slots *slots);

/* The messages of a frozen one, in the order of their sequence: the first after `*sequence` (0 to
 * begin; it is moved on). Its size, *ret_bytes leads to it; or -ENOENT: that was all. */
int64_t slots_next_frozen(const struct slots *slots, uint64_t *sequence, int64_t *ret_type,
                          const void **ret_bytes);

/* Empties a frozen one, all but claims, whose owners will give them up and ask; and puts a message
 * into it: 0, -EAGAIN (claims are in the way, or it is full), -EMSGSIZE. */
uint32_t slots_claims(const struct slots *slots);
void slots_clear_frozen(const struct slots *slots);
int slots_put_frozen(const struct slots *slots, int64_t type, const void *bytes, size_t size);
void slots_thaw(const struct slots *slots);
void slots_settle(const struct slots *slots);

/* An owner is dead: its claims go. */
void slots_release(const struct slots *slots, unsigned owner);

/* Nobody is to use it any more; those who sleep are woken. It stays frozen. */
void slots_abandon(const struct slots *slots);

#endif
