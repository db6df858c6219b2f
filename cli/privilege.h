/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tool may do, what it may do more for a while, and how it gives that up again. */
#ifndef SHMEMU_CLI_PRIVILEGE_H
#define SHMEMU_CLI_PRIVILEGE_H

#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct privilege {
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
	uint64_t bounding;
	int securebits;
};

/* What this process has now. */
struct privilege privilege_now(void);

bool privilege_has(const struct privilege *privilege, int capability);

/* Once, in a user namespace that this process has just entered: it has the ids in it that it had
 * before. Returns 0 or -errno. */
int privilege_keep_ids(uid_t uid, gid_t gid);

/* All of these end the program with one line when the host refuses. */

/* Enters a mount namespace that passes no change on to anybody else: with CAP_SYS_ADMIN a
 * plain one, else one in a user namespace, where this user keeps its own uid and gid and has
 * all capabilities. Returns whether it is in a user namespace. */
bool privilege_enter_mounts(const struct privilege *caller);

/* Whether that would work, found out by a child that tries. */
bool privilege_may_mount(const struct privilege *caller);

/* After a user namespace: back to what the caller had. */
void privilege_restore(const struct privilege *caller);

/* What this process has now it keeps when it executes a program. */
void privilege_keep_over_exec(void);

/* Becomes another user, without supplementary groups. */
void privilege_become(uid_t uid, gid_t gid);

/* Gives up all capabilities. */
void privilege_drop(void);

#endif
