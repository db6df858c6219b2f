/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which processes have a file open or mapped, as far as /proc lets us see. */
#ifndef SHMEMU_CLI_HOLDERS_H
#define SHMEMU_CLI_HOLDERS_H

#include <stdint.h>
#include <sys/types.h>

struct holders; /* of all files, as of one moment */

/* Looks through /proc, leaving out two processes: the daemon's own. Owned by the caller; ends the
 * program when there is no memory. */
struct holders *holders_find(pid_t worker, pid_t keeper);
struct holders *holders_free(struct holders *holders); /* accepts and returns NULL */

/* Goes through the processes that hold the file, in rising order: the first after `pid`, or 0. */
pid_t holders_next(const struct holders *holders, uint64_t device, uint64_t file, pid_t pid);

#endif
