/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who a process is, for the record of what it made. */
#ifndef SHMEMU_FUSE_CREATOR_H
#define SHMEMU_FUSE_CREATOR_H

#include <sys/types.h>

#include "fuse/store.h"

/* Reads /proc/PID: start time and command line, cut to fit. What can't be read stays 0 and empty:
 * a process may be gone, or hidden. */
struct store_creator creator_describe(pid_t pid, uid_t uid);

/* Takes the one descriptor that this keeps: from then on there is neither one more nor one less. */
void creator_begin(void);

/* When a process that is there was started (field 22 of /proc/PID/stat); 0: it is gone, or hidden.
 * */
uint64_t creator_start(pid_t pid);

#endif
