/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making mappings, for those who change them. */
#ifndef SHMEMU_PRELOAD_MAPS_H
#define SHMEMU_PRELOAD_MAPS_H

#include "preload/views_i.h"

/* The file behind an open one at a mount of ours, owned by the caller; or -errno. */
int maps_trade(int fd);

/* Makes a view: of memory at an address (or 0: any) with MAP_FIXED and its kin among the flags. The
 * lock is held, there is room for one, and old views in its place are gone if it succeeds. Takes
 * view->backing, counted once, also when it fails. Returns the address or -errno. */
long maps_make_view(struct view *view, int flags);

/* munmap(2), with the lock held. Returns 0 or -errno. */
int protect_unmap_locked(void *address, size_t length);

/* The same without the lock, and of what is no attachment of shared memory (attach.h). */
int protect_munmap(void *address, size_t length);

/* mmap(2) of a file from its start, wherever it is done: the address, or -errno. It does not look
 * at attachments. */
long maps_mmap(void *address, size_t length, int protection, int flags, int fd);

#endif
