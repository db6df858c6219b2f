/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The functions behind ours: libshmemu.so's, or libc's. */
#ifndef SHMEMU_TRACE_NEXT_H
#define SHMEMU_TRACE_NEXT_H

#include <dirent.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#include "base/traced.h"

typedef void next_function(void);

/* All are looked up before main: dlsym is nothing for signal handlers. What is called before that,
 * by an allocator's constructor perhaps, is looked up then. */
next_function *next_find(enum traced_number number);

#define NEXT(name) ((__typeof__(&name))next_find(TRACED_CALL_##name))

#define EXPORT __attribute__((visibility("default")))

#endif
