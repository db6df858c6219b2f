/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The functions behind ours, for what is not our business: libc's, or another preloaded
 * library's. */
#ifndef SHMEMU_PRELOAD_REAL_H
#define SHMEMU_PRELOAD_REAL_H

#include <dirent.h>
#include <ftw.h>
#include <fts.h>
#include <glob.h>
#include <grp.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utime.h>

struct real {
#define CALL(result, name, arguments)
#define SAME(name, as)
#define PASSED(result, name, arguments) result(*name) arguments;
#define TALKS(result, name, parameters, arguments) result(*name) parameters;
#define TELLS(result, name, parameters, arguments) result(*name) parameters;
#include "preload/calls.def"
#undef CALL
#undef SAME
#undef PASSED
#undef TALKS
#undef TELLS
};

/* Filled one after another. */
extern struct real real_table;
extern atomic_bool real_is_ready;

const struct real *real_resolve(void);

/* Resolved once, by the constructor or by the first call if that comes before it. What libc does
 * not have is NULL, and then no program that runs with it can have called ours. */
static inline const struct real *real_calls(void)
{
	return atomic_load_explicit(&real_is_ready, memory_order_acquire) ? &real_table :
	                                                                    real_resolve();
}

/* The same, or NULL before they are resolved: for what is called meanwhile. */
static inline const struct real *real_if_ready(void)
{
	return atomic_load_explicit(&real_is_ready, memory_order_acquire) ? &real_table : NULL;
}

/* For what is called all the time, and by allocators that dlsym calls: each is there as soon as it
 * is resolved itself. */
#define REAL_IS_THERE(name) (__atomic_load_n(&real_table.name, __ATOMIC_RELAXED) != NULL)
#define REAL(name) \
	(__builtin_expect(REAL_IS_THERE(name), 1) ? real_table.name : real_calls()->name)

#endif
