/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file's size and room, on hosts that lack ftruncate(2) or fallocate(2) too. */
#ifndef SHMEMU_FUSE_EXTENT_H
#define SHMEMU_FUSE_EXTENT_H

#include <sys/types.h>

/* ftruncate(2), else truncate(2), else the same by writing. Returns 0 or -errno. */
int extent_set_size(int fd, off_t size);

/* fallocate(2), else zeros. What only the call itself can do is -EOPNOTSUPP then. Returns 0 or
 * -errno. */
int extent_allocate(int fd, int mode, off_t offset, off_t length);

#endif
