/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the library knows of its process from the start. */
#ifndef SHMEMU_PRELOAD_BOOT_H
#define SHMEMU_PRELOAD_BOOT_H

#include <stdbool.h>

#include "base/log.h"
#include "base/place.h"

enum { PREFIXES_MAX = 8 };

enum mmap_mode {
	MMAP_AUTO,    /* natively what the host maps, else emulated */
	MMAP_NATIVE,  /* never emulated */
	MMAP_EMULATE, /* always emulated, where that can be */
};

/* All writable variables of the library:
 *   boot.c   config             written once
 *            owner              whose memory this is
 *   real.c   real_table,        what was found, lock-free
 *            last               written once
 *   real_linked.c path          written once, in its place
 *   guard.c  guarded, highest,  descriptors to be kept from the program, lock-free
 *            guard_count
 *   pool.c   pool               the connections, lock-free
 *   table.c  semaphores         what sem_open mapped, under the lock of lock.c
 *   lock.c   lock,              the library's lock
 *            attachments_lock,  that of attachments
 *            attachments_holder
 *            mask_at_fork       under both
 *   attach.c table,             attachments, under their lock
 *            attach_from,       read by all
 *            attach_to
 *   presence.c presences        this process's and its child's, under the lock
 *   mq_table.c places,          what is known of queues, lock-free
 *            next_way, mq_marks
 *   mq_notify.c registrations,  for notices, and what waits for them, under the lock; ...
 *            signal_pipes,
 *            has_signal_thread
 *            mq_notice_count,   ... how many there are, and were, lock-free
 *            last_number
 *   views.c  views,             emulated mappings, under the lock; their numbers are read by all
 *            views_count,
 *            views_shared_count
 *   backing.c blocks            the files behind them, under the lock
 *   twin.c   buffer             for a chunk of one, under the lock
 *   refresh.c is_running        whether there is a thread for them, lock-free
 *   host.c   known, ...         what this host can map, found once
 *   sync_claims.c claims,       descriptions with locks on shared objects, lock-free
 *            robust_key,        written once
 *            has_robust_key
 *   sync_watch.c watchers       what waits for changes of files, lock-free
 *   way.c    way_state          what may be ours, lock-free
 *   errand.c spare              memory for calls under way, lock-free
 *   roads.c  known, limited,    what the daemon said of its mount and of limits, lock-free
 *            limited_share
 *   known.c  places, known      what names led to, lock-free
 *   heap_found.c heap           written once
 *   stream.c stream_begin       where directory streams lie; each has a lock of its own
 *   actions.c held              descriptors for posix_spawn's children, lock-free
 *   place.c  on_mount           whether the working folder may be on our mount, lock-free */
struct config {
	struct log log;            /* SHMEMU_LOG */
	struct text shmemu_dir;    /* SHMEMU_DIR; empty: unset; so the others */
	struct text xdg_runtime_dir;
	struct text tmpdir;
	struct text library;       /* our own absolute path */
	enum mmap_mode mmap;       /* SHMEMU_MMAP */
	struct text paths;         /* SHMEMU_PATHS, a NUL in the place of each colon */
	/* Each stands for the store's root, the first is /dev/shm. None: SHMEMU_PATHS=off. */
	const char *prefixes[PREFIXES_MAX];
	size_t prefix_count;
};

/* Never fails: what can't be known is empty, what is too long is cut and says so. The environment
 * is read by the constructor, or at the first call if that comes before it, and never again: a
 * program may change its environment, or clear it. */
const struct config *boot_config(void);

/* Is this a child of vfork? It has its parent's memory, and descriptors of its own. (So has what a
 * bare clone(2) made: forks are known by their handlers.) */
bool boot_is_borrowed(void);

/* Logs "TEXT: ERRNO" as an error of our own. `error` is positive. */
void boot_log_error(struct text text, int error);

#endif
