/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory: by the program's own malloc what the standard has the program free; pages for all else.
 */
#ifndef SHMEMU_PRELOAD_HEAP_H
#define SHMEMU_PRELOAD_HEAP_H

#include <stddef.h>

/* By the malloc, realloc and free that the program uses, whosever they are. The first two return
 * NULL when there is none; like malloc they set errno then. */
void *heap_take(size_t size);
void *heap_resize(void *block, size_t size);
void heap_give(void *block);

/* A copy of `size` bytes and a NUL. */
char *heap_copy(const char *bytes, size_t size);

/* An array in pages of our own, that grows by doubling. All 0 is an empty one. */
struct pages {
	void *memory;
	size_t size; /* bytes that can be used; new ones are 0 */
};

/* Makes it `size` bytes at least; it may move. Returns 0 or -ENOMEM. */
int pages_grow(struct pages *pages, size_t size);
void pages_deinit(struct pages *pages);

#endif
