/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A tmpfs of our own that is mounted nowhere. */
#ifndef SHMEMU_FUSE_TMPFS_H
#define SHMEMU_FUSE_TMPFS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/statvfs.h>

#include "base/huge.h"

struct tmpfs_plan {
	uint64_t size; /* bytes that there is room for; 0: any */
	enum huge huge;
};

/* Makes one; NULL: of any size, and with huge pages where the kernel has them. Returns a descriptor
 * of its folder, owned by the caller, or -errno: -EPERM without CAP_SYS_ADMIN in this user
 * namespace, -EOPNOTSUPP where the kernel has not what was asked for. */
int tmpfs_mount(const struct tmpfs_plan *plan);

/* One for what needs no room. As many things as the kernel thinks fit can be made there. */
int tmpfs_mount_roomless(void);

/* Gives it another size (0: any). `mount` is what tmpfs_mount returned, `namespace` a descriptor
 * of the user namespace that it was made in, or -1: in this one. Returns 0 or -errno: -EBUSY when
 * more is in use, -EPERM without CAP_SYS_ADMIN there. */
int tmpfs_resize(int mount, int namespace, uint64_t size);

/* Whether it was made with a size. The kernel gives none to a tmpfs that had none, so that any is a
 * size as well, a huge one. */
bool tmpfs_is_limited(const struct statvfs *status);

#endif
