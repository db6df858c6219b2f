/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between way.c and errand.c. */
#ifndef SHMEMU_PRELOAD_WAY_I_H
#define SHMEMU_PRELOAD_WAY_I_H

#include "preload/way.h"

/* A way with the memory that it needs. */
struct way_block {
	struct way way;
	char text[WIRE_TEXT_MAX + 1]; /* the daemon's latest answer */
	char before[PATH_MAX];        /* the path on the way now, where the daemon has told it */
	char path[PATH_MAX];          /* the path that was put together for the real function */
};

/* Where (dirfd, path) leads: sets way.result, kind, dirfd, path and base. The path is borrowed. */
void way_set(struct way_block *block, int dirfd, const char *path);

/* The same for block->before, which came with WIRE_ELSEWHERE. */
void way_set_elsewhere(struct way_block *block);

#endif
