/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/trim.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

/* What nobody can have written to is in the file still. */
static int trim_object(struct dl_phdr_info *object, size_t size, void *details)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size, (void)details;
	for (size_t i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
		uintptr_t begin = (object->dlpi_addr + segment->p_vaddr) & ~(page - 1);
		uintptr_t end = object->dlpi_addr + segment->p_vaddr + segment->p_memsz;

		if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W))
			madvise((void *)begin, end - begin, MADV_DONTNEED);
	}
	return 0;
}

void trim_program(void)
{
	dl_iterate_phdr(trim_object, NULL);
}
