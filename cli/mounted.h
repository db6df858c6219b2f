/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A /dev/shm of this process's own, for the daemon to mount itself over: for programs that go there
 * without the library. */
#ifndef SHMEMU_CLI_MOUNTED_H
#define SHMEMU_CLI_MOUNTED_H

#include <stdbool.h>

#include "cli/privilege.h"

struct mounted {
	bool in_user_namespace;  /* with rights in it that the caller did not have */
	struct privilege caller; /* as it was before */
};

#define MOUNTED_PATH "/dev/shm"

/* Enters a mount namespace in which there is a place for it. Ends the program with one line when
 * the host refuses, or has no FUSE. */
void mounted_enter(struct mounted *ret_mounted);

/* For COMMAND: it has the caller's rights and no more. */
void mounted_restore(const struct mounted *mounted);

#endif
