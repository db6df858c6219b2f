/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory and size calls as this host has them. Each returns >= 0 or -errno, goes to the
 * function behind ours (libc's, or another preloaded library's), and knows two things more:
 *   - -HOST_LACKS: the host refuses the call as such, whatever errno it says (ENOSYS, EPERM,
 *     ENODEV): an errno that the call's man page does not list, or one that is listed for something
 *     that is not so here. What is then done is the caller's.
 *   - an interruption (EINTR) that the call's man page does not know is tried again. */
#ifndef SHMEMU_PRELOAD_HOST_H
#define SHMEMU_PRELOAD_HOST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { HOST_LACKS = 4000 }; /* no errno */

/* The address, or -errno. Before libc's functions are found: the system call. */
long host_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset);

/* Is it a file that hosts can map, whether this one does or not? */
bool host_can_map(int fd);

int host_munmap(void *address, size_t length);
int host_msync(void *address, size_t length, int flags);
long host_mremap(void *address, size_t old_size, size_t new_size, int flags, void *new_address);
int host_madvise(void *address, size_t length, int advice);
int host_mprotect(void *address, size_t length, int protection);
/* Whether an mprotect has worked in this process; to be told by who makes one by other ways. */
extern atomic_bool host_protects;

static inline void host_note_protects(void)
{
	if (!atomic_load_explicit(&host_protects, memory_order_relaxed))
		atomic_store_explicit(&host_protects, true, memory_order_relaxed);
}

int host_ftruncate(int fd, off_t length);
int host_fallocate(int fd, int mode, off_t offset, off_t length);
int host_memfd_create(const char *name, unsigned flags);

/* Private anonymous memory for the library's own use, zeroed, until sys_give; NULL: none. */
void *host_take(size_t size);

#endif
