/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which malloc a program has the linker knows, where we are linked in: for heap_found.c. */
#include "preload/heap.h"

#include <stdlib.h>

static const struct {
	void *(*take)(size_t size);
	void *(*resize)(void *block, size_t size);
	void (*give)(void *block);
} heap = {malloc, realloc, free};

void *heap_take(size_t size)
{
	return heap.take(size);
}

void *heap_resize(void *block, size_t size)
{
	return heap.resize(block, size);
}

void heap_give(void *block)
{
	heap.give(block);
}
