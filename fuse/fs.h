/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The FUSE door: the store as a filesystem. */
#ifndef SHMEMU_FUSE_FS_H
#define SHMEMU_FUSE_FS_H

#include <stdbool.h>
#include <sys/types.h>

#include "fuse/awake.h"

struct fs;
struct loop;
struct store;
struct tokens;

enum fs_passthrough {
	FS_PASSTHROUGH_AUTO,    /* where the kernel grants it, else direct I/O */
	FS_PASSTHROUGH_REQUIRE, /* do not mount without it */
	FS_PASSTHROUGH_OFF,
};

struct fs_options {
	const char *mountpoint;
	const char *mount_options; /* as after -o, NULL for none: passed to libfuse */
	enum fs_passthrough passthrough;
	bool allow_other;
	enum awake_when awake;
	struct tokens *tokens; /* where to put those that are asked for; borrowed; NULL: nowhere */
	int device; /* the /dev/fuse of an earlier worker's mount, taken; -1: mount */
};

/* Mounts the store (borrowed) and serves it from the loop (borrowed), or goes on serving what an
 * earlier worker has mounted. When it is unmounted from outside the loop is stopped. Returns 0 or
 * -errno, and then what may be mounted is dead: -ENOENT or
 * -ENOTDIR for the mountpoint, -ENODEV for lack of /dev/fuse, -EACCES or -EPERM for lack of rights,
 * -EINVAL for a mount option that libfuse does not know, -EOPNOTSUPP when passthrough is required
 * and the kernel (6.9) or the rights (CAP_SYS_ADMIN) for it are not there. */
int fs_mount(struct fs **ret_fs, struct loop *loop, struct store *store,
             const struct fs_options *options);

/* Nobody uses the other door now: the kernel may keep what it is told, until somebody is to come by
 * it: how many milliseconds he must wait. At first it is as if somebody were there. */
void fs_alone(struct fs *fs);
int fs_disturb(struct fs *fs);

/* Does the kernel pass reads, writes and mappings through to the anonymous files? */
bool fs_has_passthrough(const struct fs *fs);

/* The connection to the kernel, borrowed: whoever keeps it keeps the mount alive. */
int fs_device(const struct fs *fs);

/* Leaves the mount as it is: whoever has the connection serves it, and when nobody has, it is dead.
 * Accepts and returns NULL. */
struct fs *fs_free(struct fs *fs);

#endif
