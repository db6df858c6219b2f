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

/* Each is found when it is first called for, which any signal handler may do. What libc does not
 * have stays NULL, and then no program that runs with it can have called ours. */
#pragma GCC visibility push(hidden)
extern struct real real_table;
#pragma GCC visibility pop

typedef void real_function(void);
__attribute__((cold)) real_function *real_find(void *slot, const char *name);

/* The path that the loader has this library from, or NULL where it does not say. */
const char *real_library(void);

#define REAL_IS_THERE(name) \
	__builtin_expect(__atomic_load_n(&real_table.name, __ATOMIC_RELAXED) != NULL, 1)
#define REAL(name) \
	(REAL_IS_THERE(name) ? real_table.name \
	                     : (__typeof__(real_table.name))real_find(&real_table.name, #name))

#endif
