/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inodes that are open through the FUSE door. */
#ifndef SHMEMU_FUSE_INODES_H
#define SHMEMU_FUSE_INODES_H

#include <stdbool.h>
#include <stdint.h>

struct channel;
struct store;

struct inodes {
	struct store *store;     /* borrowed */
	struct channel *channel; /* borrowed */
	bool require;            /* no open without passthrough */
};

/* Counts an open of an inode. All opens of an inode take the road that the first one took. Returns
 * its backing id, 0 for direct I/O, or -errno (-ESTALE: there is no such inode). Each success has
 * its inodes_close. */
int inodes_open(struct inodes *inodes, uint64_t ino);
/* The same for an inode that is open already, by its making. */
int inodes_adopt(struct inodes *inodes, uint64_t ino);
void inodes_close(struct inodes *inodes, uint64_t ino);

/* After a kill: gives back the backing ids that were had for opens that never came about. */
void inodes_sweep(struct inodes *inodes);

#endif
