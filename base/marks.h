/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tells whoever remembers where a name of the root folder led whether it may lead elsewhere
 * by now: memory of the worker's, which clients read. Each name has a mark, with others, that
 * changes in every request that takes the name from where it led, before the answer. So who has
 * read the mark, asked where the name leads, and finds the mark unchanged, need not ask again.
 *
 * The first word is a futex that the kernel knows of (set_robust_list(2)): when the worker has
 * gone, whatever it died of, its thread is in it no more, and that before anybody can see its
 * death. Then all marks are void. The next worker has memory of its own for them, in which none has
 * a value that it has had in another. */
#ifndef SHMEMU_BASE_MARKS_H
#define SHMEMU_BASE_MARKS_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { MARKS_COUNT = 1 << 10 };

/* How a file is opened by its number. */
enum marks_road {
	MARKS_IN_FOLDER,     /* WIRE_WANT_FOLDER gives the folder where the number is its name */
	MARKS_BELOW_FOLDER,  /* it gives the root, and the file is ../../NUMBER from there */
	MARKS_BY_DESCRIPTOR, /* it gives the root, which is to be searched first, and the number is
	                        that of a descriptor of the worker's */
};

struct marks {
	_Atomic uint32_t owner; /* a thread of the worker's; none: it is gone */
	uint32_t road;
	_Atomic uint64_t all;   /* counted with each of the others; never 0 */
	uint32_t pid, file;     /* the worker's, as it sees itself, and its descriptor of this */
	uint64_t reserved[5];
	_Atomic uint64_t names[MARKS_COUNT];
};

_Static_assert(sizeof(struct marks) == 64 + MARKS_COUNT * sizeof(uint64_t), "no padding");

static inline uint64_t marks_hash(const char *name, size_t length)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)name[i]) * UINT64_C(0x100000001b3);
	return hash ^ hash >> 32;
}

/* A name's mark; 0, which is none: they are void. */
static inline uint64_t marks_of(const struct marks *marks, uint64_t hash)
{
	if (!(atomic_load_explicit(&marks->owner, memory_order_acquire) & FUTEX_TID_MASK))
		return 0;
	/* Both only grow. */
	return atomic_load_explicit(&marks->all, memory_order_acquire) +
	       atomic_load_explicit(&marks->names[hash % MARKS_COUNT], memory_order_acquire);
}

#endif
