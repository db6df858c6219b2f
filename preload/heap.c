/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/heap.h"

#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"

enum { FIRST_SIZE = 4096 };

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
