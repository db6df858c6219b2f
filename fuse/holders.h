/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has to do with a segment besides the store. */
#ifndef SHMEMU_FUSE_HOLDERS_H
#define SHMEMU_FUSE_HOLDERS_H

#include <stdbool.h>
#include <sys/types.h>

struct store_node;

/* Has anybody but the daemon the segment open or mapped, or on its way over a socket? */
bool holders_any(struct store_node *node);

/* Is the process that made the segment still there? True as well when that can't be told. */
bool holders_creator_lives(struct store_node *node);

/* Is this process the resource tracker of Python's multiprocessing? */
bool holders_is_tracker(pid_t pid);

#endif
