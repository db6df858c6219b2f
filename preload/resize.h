/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that are made longer, shorter, full or empty where the host refuses the call for it: by
 * others that it has. Each returns what the call itself would, 0 or -errno. */
#ifndef SHMEMU_PRELOAD_RESIZE_H
#define SHMEMU_PRELOAD_RESIZE_H

#include <sys/types.h>

/* ftruncate(2). */
int resize_truncate(int fd, off_t length);

/* fallocate(2). No byte that is not zero is written over, but by what the mode asks for. Beyond the
 * end with FALLOC_FL_KEEP_SIZE, and ranges that move, are -EOPNOTSUPP. */
int resize_allocate(int fd, int mode, off_t offset, off_t length);

#endif
