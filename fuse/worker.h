/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker: store and doors, on what the keeper hands over. */
#ifndef SHMEMU_FUSE_WORKER_H
#define SHMEMU_FUSE_WORKER_H

struct options;

/* Serves until the keeper or the store's end says so; options->worker_fd is the keeper's socket.
 * Returns the exit status. */
int worker_run(const struct options *options);

#endif
