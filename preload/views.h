/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Emulated mappings ("views"): private memory that is filled from a file, for hosts that can't map
 * the file. A shared view has a twin, which is what the file was known to have: bytes that differ
 * from it are this process's (pushed at release points), bytes of the file that differ from it are
 * others' (pulled at acquire points). So two writers of different bytes undo nothing of each
 * other's. A thread does both every few milliseconds, for programs that wait by looking. */
#ifndef SHMEMU_PRELOAD_VIEWS_H
#define SHMEMU_PRELOAD_VIEWS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* How many views of any kind there are, and how many shared ones that points are for. */
#pragma GCC visibility push(hidden)
extern atomic_size_t views_count;
extern atomic_size_t views_shared_count;
#pragma GCC visibility pop

static inline bool views_any(void)
{
	return atomic_load_explicit(&views_count, memory_order_relaxed) != 0;
}

static inline bool views_shared_any(void)
{
	return atomic_load_explicit(&views_shared_count, memory_order_relaxed) != 0;
}

/* Points. What this process wrote to shared views goes to their files; what others wrote comes.
 * errno stays. Cheap when there is no shared view. Take the library's lock. */
void views_release(void);
void views_acquire(void);

/* Looks at the sizes of all files behind views, private ones too, and pulls: after a call that
 * may have changed one. */
void views_resize(void);

/* A file that is open as `fd` has just been emptied. */
void views_empty(int fd);

/* Where an object in shared emulated memory is: process-shared locks live in the file, not in the
 * memory. */
struct views_place {
	int fd;       /* read and write, for pread and pwrite; borrowed, valid while it is mapped */
	off_t offset; /* of the object in the file */
	dev_t device;
	ino_t inode;
	bool is_quiet; /* nobody writes pages of it as they were: points pass over it */
};

/* Whether `size` bytes at `address` lie in one shared emulated view, and where. */
bool views_find(const void *address, size_t size, struct views_place *ret_place);

/* Whether a shared view of that open file may be written: then it can't be sealed. */
bool views_write(int fd);

/* Pushes these bytes now, all of them, whether changed or not. Returns 0 or -errno. */
int views_push(const void *address, size_t size);

/* Maps a file shared for calls that go to its file themselves (named semaphores): natively if the
 * host can, else as a view that views_find knows and points pass over. The lock is held by the
 * caller. Returns the address or -errno. */
long views_map_quiet_locked(size_t length, int fd);
void views_unmap_quiet_locked(void *address, size_t length);

#endif
