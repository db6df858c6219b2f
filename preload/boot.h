/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the library knows of its process from the start. */
#ifndef SHMEMU_PRELOAD_BOOT_H
#define SHMEMU_PRELOAD_BOOT_H

#include "base/log.h"
#include "base/place.h"

enum { PREFIXES_MAX = 8 };

/* All writable variables of the library:
 *   boot.c   config             written once
 *   real.c   real, is_ready     written once
 *   pool.c   pool               the connections, lock-free
 *   table.c  semaphores, lock   what sem_open mapped; the lock and its fork handlers are there
 *   way.c    way_state, owner   what may be ours, lock-free
 *   errand.c spare              memory for calls under way, lock-free
 *   roads.c  known, limited,    what the daemon said of its mount and of limits, lock-free
 *            limited_share
 *   heap.c   heap               written once
 *   stream.c stream_begin       where directory streams lie; each has a lock of its own
 *   actions.c held              descriptors for posix_spawn's children, lock-free
 *   place.c  on_mount           whether the working folder may be on our mount, lock-free */
struct config {
	struct log log;            /* SHMEMU_LOG */
	struct text shmemu_dir;    /* SHMEMU_DIR; empty: unset; so the others */
	struct text xdg_runtime_dir;
	struct text tmpdir;
	struct text library;       /* our own absolute path */
	struct text paths;         /* SHMEMU_PATHS, a NUL in the place of each colon */
	/* Each stands for the store's root, the first is /dev/shm. None: SHMEMU_PATHS=off. */
	const char *prefixes[PREFIXES_MAX];
	size_t prefix_count;
};

/* Never fails: what can't be known is empty, what is too long is cut and says so. The environment
 * is read by the constructor, or at the first call if that comes before it, and never again: a
 * program may change its environment, or clear it. */
const struct config *boot_config(void);

/* Logs "TEXT: ERRNO" as an error of our own. `error` is positive. */
void boot_log_error(struct text text, int error);

#endif
