/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory that is no view, on hosts that lack what a program asks for it. */
#ifndef SHMEMU_PRELOAD_LACKING_H
#define SHMEMU_PRELOAD_LACKING_H

#include <stdbool.h>
#include <sys/types.h>

#include "preload/views_i.h"

/* A mapping of this process, as /proc/self/maps has it. */
struct mapping {
	uintptr_t start, end;
	int protection;
	bool is_shared;
	bool is_file;
	bool is_locked; /* only if asked for */
	off_t offset;
	dev_t device;
	ino_t inode;
	char path[256]; /* cut, maybe */
};

/* The first mapping that ends behind the address; false: none, or not known. With `all`, is_locked
 * too: that takes longer. */
bool lacking_find(uintptr_t address, bool all, struct mapping *ret_mapping);

/* Is something mapped at every page of the range? */
bool lacking_is_mapped(const struct range *range);

/* Where to put, with MAP_FIXED, a mapping of that length that is wished for at an address (0:
 * anywhere), with mmap's flags: where the host can't unmap, at a place that is VIEW_GONE. 0:
 * the host is to say. */
uintptr_t lacking_place(const void *address, size_t length, int flags);

/* Is a part of it locked into memory? */
bool lacking_is_locked(const struct range *range);

/* Makes what is mapped there larger in its place, if all that is in the way is VIEW_GONE.
 * Returns whether it is. */
bool lacking_grow(const struct range *range, size_t new_size);

/* The whole calls, for memory that is no view and hosts that lack them. The arguments have been
 * looked at. Each returns >= 0 or -errno. The lock is held. */
int lacking_munmap(const struct range *range);
int lacking_msync(const struct range *range, int flags);
int lacking_madvise(const struct range *range, int advice);
long lacking_mremap(const struct range *range, size_t new_size, int flags, void *new_address);

#endif
