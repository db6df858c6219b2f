/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RTLD_DEFAULT, not RTLD_NEXT: a program that brings its own malloc has it in its executable, which
 * comes before us. */
#include "preload/heap.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"

enum { FIRST_SIZE = 4096 };

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

char *heap_copy(const char *bytes, size_t size)
{
	char *copy = heap_take(size + 1);

	if (!copy)
		return NULL;
	memcpy(copy, bytes, size);
	copy[size] = '\0';
	return copy;
}

int pages_grow(struct pages *pages, size_t size)
{
	size_t wanted = pages->size ? pages->size : FIRST_SIZE;
	void *memory;

	if (size <= pages->size)
		return 0;
	while (wanted < size)
		wanted *= 2;
	if (pages->memory) {
		memory = (void *)sys_call(SYS_mremap, (long)pages->memory, (long)pages->size,
		                          (long)wanted, MREMAP_MAYMOVE, 0, 0);
		if (!sys_is_error(memory)) {
			*pages = (struct pages){memory, wanted};
			return 0;
		}
	}
	memory = sys_mmap(wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (sys_is_error(memory))
		return -ENOMEM;
	if (pages->memory) {
		memcpy(memory, pages->memory, pages->size);
		sys_give(pages->memory, pages->size);
	}
	*pages = (struct pages){memory, wanted};
	return 0;
}

void pages_deinit(struct pages *pages)
{
	if (pages->memory)
		sys_give(pages->memory, pages->size);
	*pages = (struct pages){0};
}
