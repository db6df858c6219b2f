/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where this process has shared memory of System V attached: pieces, each as the kernel has a
 * mapping, for its shm_nattch counts those. A piece is what is left of an attachment after parts of
 * it were unmapped, mapped over or moved. */
#ifndef SHMEMU_PRELOAD_ATTACH_H
#define SHMEMU_PRELOAD_ATTACH_H

#include <stdatomic.h>

#include "preload/views_i.h"

/* What no attachment is outside of; the same, 0: there is none. Read without a lock. */
#pragma GCC visibility push(hidden)
extern atomic_uintptr_t attach_from, attach_to;
#pragma GCC visibility pop

static inline bool attach_may_touch(const void *address, size_t length)
{
	uintptr_t at = (uintptr_t)address;

	return __builtin_expect(at < atomic_load_explicit(&attach_to, memory_order_relaxed), 0) &&
	       at + page_up(length) > atomic_load_explicit(&attach_from, memory_order_relaxed);
}

struct attachment {
	int id;            /* of the segment */
	size_t size;       /* whole pages */
	uint64_t presence; /* its number, where it is counted */
	int protection;
	bool may_write;
};

/* All of these with the lock of attachments (lock.h). */

/* Room for what the next call, and attach_cut before it, will change. 0 or -ENOMEM. */
int attach_reserve(void);

/* It was attached at an address, where nothing else is any more. */
void attach_add(const struct attachment *attachment, uintptr_t address);

/* shmdt(2): what of the attachment that lies there as it was attached, range for range. False: no
 * more. The first call is with *cursor all 0. */
struct attach_cursor {
	uint64_t number;
	uintptr_t next;
	size_t size;
};

bool attach_find(uintptr_t address, struct attach_cursor *cursor, struct range *ret_range);

/* Pages that are no longer what they were. */
void attach_cut(const struct range *range);

/* May all of it be written, if it is said so? Hosts without mprotect do not judge. */
bool attach_may_write(const struct range *range);

/* mprotect(2): what gets another protection than the rest of its piece has is one of its own, and
 * stays so. */
void attach_protect(const struct range *range, int protection);

/* mremap(2) has moved, or changed in size, what was at `old` (length 0: it was mapped once more);
 * is_left: and it is there as well. */
void attach_moved(const struct range *old, const struct range *new, bool is_left);

/* The segment that an address is in; false: none. */
bool attach_of(uintptr_t address, struct attachment *ret_attachment);

/* How many of its pieces lie there as a whole. */
unsigned attach_count_in(const struct attachment *attachment, const struct range *range);

/* remap_file_pages(2) has put there, from its first piece's segment, what begins at `offset`. */
void attach_shifted(const struct range *range, size_t offset);

/* Tells the daemon of the segments whose pieces are not as many as they were. */
void attach_tell(void);

/* Tells it how many there are of one. */
void attach_tell_of(const struct attachment *attachment);

/* In a forked child: what its parent's presence had is its own's. 0: it has none. */
void attach_renumber(uint64_t parents, uint64_t own);

#endif
