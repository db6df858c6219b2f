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
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utime.h>

/* Which of the two is meson's to say. */
#ifdef SHMEMU_LINKED
#include "preload/real_linked.h"
#else
#include "preload/real_found.h"
#endif

/* The file that shmfs is looked for beside: the library, or the program that has it linked in. NULL
 * where nobody says. */
const char *real_library(void);

/* Do all calls come to us by which what is emulated works, or those on names alone? */
#pragma GCC visibility push(hidden)
extern const bool real_is_before_all;
#pragma GCC visibility pop

#endif
