/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mount as it is seen from outside: which one is at a path, and taking it away. */
#ifndef SHMEMU_FUSE_MOUNT_H
#define SHMEMU_FUSE_MOUNT_H

#include <stdint.h>

/* Which mount is at the path now; 0 if that can't be told. Does not make the kernel ask the
 * filesystem. */
uint64_t mount_at(const char *path);

/* st_dev of what is mounted there, without asking it; 0: not known. */
uint32_t mount_device(const char *path);

/* Takes the mount away, lazily if it is busy, if it still is the one at the path: another one is
 * not ours. `id` 0: only one that is dead. */
void mount_remove(const char *path, uint64_t id);

#endif
