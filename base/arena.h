/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory that outlives who works on it, with turns: what a turn has changed is either all there or,
 * if its process is killed in it, undone by whoever comes next. One file of anonymous memory,
 * mapped; on a host that does not let us a copy, whose changes are written to the file as well.
 *
 * The daemon's worker has one, with all of IPC in it, and no client ever maps it: what clients
 * work on themselves is of another make (slots.h, semwords.h). Still, nothing is true for being
 * there: a worker trusts nothing that an earlier one was killed in, which may have been of another
 * version, or have died of a fault that this one is not to die of. What the file says of its own
 * shape is checked once, at the start, and remembered; each offset that is read from it is checked
 * by arena_at, each number is read once, each list is walked for no longer than what is counted by
 * the reader; a rolled back log writes nowhere but in the arena.
 *
 * What is in it is only written to by these calls: all else sees it const. Addresses never change
 * while it is open; what is stored in it are offsets (0: none), since the next process has it
 * elsewhere. Every byte is backed by memory before it is written to: where none can be had, it is
 * arena_take and arena_claim that fail. No malloc, no stdio, no locks. */
#ifndef SHMEMU_BASE_ARENA_H
#define SHMEMU_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ARENA_TAKE_MAX = 1 << 20,
};

/* In bytes. All of it is address space, not memory: that comes as it is used, with the log's at the
 * start. */
struct arena_shape {
	uint64_t size;   /* of the file: log, tables and what arena_take gives */
	uint64_t log;    /* how much a turn can change: see arena_room */
	uint64_t tables; /* for arena_claim, from arena_tables() on */
};

struct arena {
	int fd; /* owned */
	bool is_mapped;
	bool overflowed; /* this turn: see arena_room */
	uint32_t given;  /* this turn: sizes of which blocks were given back */
	char *bytes;
	struct arena_shape shape;
};

#define ARENA_NULL ((struct arena){.fd = -1})

/* Takes the file; an empty one is made into an arena of this shape (NULL: it must be one). A turn
 * that was begun is still there (arena_is_dirty), and is to be rolled back or committed before
 * anything else. 0, -errno, -EBADMSG for what is no arena, -EPROTONOSUPPORT for another version's.
 */
int arena_init(struct arena *arena, int fd, const struct arena_shape *shape);
void arena_deinit(struct arena *arena); /* closes; the file keeps what is in it */

/* Where the tables begin, all zeros at first; has memory put behind a part of them. 0 or -ENOSPC,
 * -ENOMEM. */
uint64_t arena_tables(const struct arena *arena);
int arena_claim(struct arena *arena, uint64_t at, size_t size);

/* A block of `size` bytes, at most ARENA_TAKE_MAX, aligned to 64, with what was in it; and back. An
 * offset, or -ENOSPC, -ENOMEM. */
int64_t arena_take(struct arena *arena, size_t size);
void arena_give(struct arena *arena, uint64_t at, size_t size);

/* What is at an offset: NULL for 0, and for where `size` bytes are not all behind the log. */
const void *arena_at(const struct arena *arena, uint64_t at, size_t size);

static inline uint64_t arena_offset(const struct arena *arena, const void *place)
{
	return place ? (uint64_t)((const char *)place - arena->bytes) : 0;
}

/* Changes what is at a place: what was there is in the turn's log. */
void arena_set(struct arena *arena, const void *place, const void *bytes, size_t size);
#define ARENA_SET(arena, place, value)                                                             \
	do {                                                                                       \
		__typeof__(place) arena_value_ = (value);                                          \
		arena_set(arena, &(place), &arena_value_, sizeof arena_value_);                    \
	} while (0)

/* The same without a log, for a block that was taken in this turn, and for what needs
 * none. */
void arena_fill(struct arena *arena, const void *place, const void *bytes, size_t size);

/* Bytes that the log has room for: a change takes its size and 16 more. A turn that could change
 * more than its log holds is to be several. One that does it all the same has overflowed: nothing
 * more is changed, and arena_commit rolls back. What is no place of the arena's is so as well. */
size_t arena_room(const struct arena *arena);
bool arena_has_overflowed(const struct arena *arena);

bool arena_is_dirty(const struct arena *arena);
void arena_commit(struct arena *arena);    /* by one store */
void arena_roll_back(struct arena *arena); /* can itself be killed, and done again */

#endif
