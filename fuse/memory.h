/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much memory there is for segments. */
#ifndef SHMEMU_FUSE_MEMORY_H
#define SHMEMU_FUSE_MEMORY_H

#include <stdint.h>

struct memory {
	uint64_t total;     /* bytes the machine has */
	uint64_t available; /* bytes to be had without swapping */
};

/* Returns 0 or -errno. */
int memory_read(struct memory *ret_memory);

#endif
