/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inodes that the kernel knows through the FUSE door. */
#ifndef SHMEMU_FUSE_INODES_H
#define SHMEMU_FUSE_INODES_H

#include <stdbool.h>
#include <stdint.h>

struct channel;
struct inode;
struct store;
struct store_node;

struct inodes {
	struct inode *table;
	struct store *store;     /* borrowed */
	struct channel *channel; /* borrowed */
	bool require;            /* no open without passthrough */
};

void inodes_init(struct inodes *inodes, struct store *store, struct channel *channel, bool require);

/* Forgets all: the connection is at its end. */
void inodes_deinit(struct inodes *inodes);

/* The node of an inode number that the kernel was given and has not given back, or NULL. */
struct store_node *inodes_find(const struct inodes *inodes, uint64_t ino);

/* An answer gives the kernel the node once more, or the kernel gives it back so many times.
 * inodes_give returns 0 or -ENOMEM. It does not make the node live. */
int inodes_give(struct inodes *inodes, struct store_node *node);
void inodes_take_back(struct inodes *inodes, uint64_t ino, uint64_t times);

/* Counts an open of an inode that the kernel was given. All opens of an inode take the road that
 * the first one took. Returns its backing id, 0 for direct I/O, or -errno. Each success has its
 * inodes_close. */
int inodes_open(struct inodes *inodes, uint64_t ino);
void inodes_close(struct inodes *inodes, uint64_t ino);

#endif
