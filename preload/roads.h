/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* By which road the store's files are reached, and which of them have a limit: asked of the daemon
 * once, and told with each file. */
#ifndef SHMEMU_PRELOAD_ROADS_H
#define SHMEMU_PRELOAD_ROADS_H

#include <stdbool.h>
#include <sys/types.h>

struct roads {
	const char *mount;   /* where this process sees the store mounted; "": nowhere */
	dev_t mount_device;
};

struct wire_roads;

/* Where files have a limit. */
struct roads_limits {
	dev_t all;   /* st_dev of files for which there must be room when they grow; 0: none */
	dev_t share; /* the same, and they are a user's share */
};

/* Asks the daemon if that has not been done yet. Returns 0, or -errno as ask() says. What it finds
 * is never freed. */
int roads_find(const struct roads **ret_roads);

/* What has been found, or NULL. No system call. */
const struct roads *roads_known(void);

/* Whether the mount is there still. A system call. */
bool roads_has_mount(const struct roads *roads);

/* To be asked for anew: the mount is gone, or the daemon is another. */
void roads_forget(void);

/* What came with the latest file that the daemon has given this process: limits may change. */
void roads_note_limits(const struct wire_roads *told);

/* May files of this process have a limit? Without a system call. */
bool roads_limits(struct roads_limits *ret_limits);

#endif
