/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owners: a file descriptor or heap block that is released when its variable goes out of scope. */
#ifndef SHMEMU_BASE_OWN_H
#define SHMEMU_BASE_OWN_H

#include "base/sys.h"

/* A descriptor declared so is closed at the end of its scope unless fd_steal took it out. */
#define OWN_FD __attribute__((cleanup(fd_close_at))) int

/* Closes *fd if there is one, and forgets it. Never retried: after EINTR the number is free
 * already. */
static inline void fd_close_at(int *fd)
{
	if (*fd >= 0)
		sys_close(*fd);
	*fd = -1;
}

/* Hands the descriptor to the caller, who owns it from now on. */
static inline int fd_steal(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#endif
