/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RTLD_DEFAULT, not RTLD_NEXT: a program that brings its own malloc has it in its executable, which
 * comes before us. */
#include "preload/heap.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static struct {
	void *(*take)(size_t size);
	void *(*resize)(void *block, size_t size);
	void (*give)(void *block);
} heap;

static void resolve(void *ret_function, const char *name)
{
	void *found = dlsym(RTLD_DEFAULT, name);

	memcpy(ret_function, &found, sizeof found);
}

static void resolve_all(void)
{
	resolve(&heap.take, "malloc");
	resolve(&heap.resize, "realloc");
	resolve(&heap.give, "free");
}

static void prepare(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, resolve_all);
}

void *heap_take(size_t size)
{
	prepare();
	return heap.take(size);
}

void *heap_resize(void *block, size_t size)
{
	prepare();
	return heap.resize(block, size);
}

void heap_give(void *block)
{
	prepare();
	heap.give(block);
}
