/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /proc/sysvipc/shm, sem and msg, where System V IPC is the daemon's. */
#ifndef SHMEMU_PRELOAD_SYSV_PROC_H
#define SHMEMU_PRELOAD_SYSV_PROC_H

#include <stdbool.h>

/* Is it the path of one? Such a one is the host's to all calls but those that open it. */
bool sysv_proc_is(const char *path);

/* open(2) of such a path for reading: a descriptor of what the file has now, or -errno; -ENOSYS: it
 * is the host's. Any other path: -ENOSYS. */
int sysv_proc_open(const char *path, int flags);

#endif
