/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A tmpfs that is mounted nowhere. */
#ifndef SHMEMU_FUSE_TMPFS_H
#define SHMEMU_FUSE_TMPFS_H

#include <stdint.h>

/* Makes one with room for `size` bytes (0: any). Returns its root folder, owned by the caller, or
 * -errno: -EPERM without CAP_SYS_ADMIN. */
int tmpfs_mount(uint64_t size);

#endif
