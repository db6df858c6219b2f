/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel holds an inode by lookups, which it gives back by forget, and by open files. It sends
 * both at its leisure and in any order, and for neither at all when the connection ends: hence a
 * table to let go by. Only an open file holds the node. A lookup does not: when a name goes by the
 * socket door the kernel keeps what it looked up for as long as it likes, and the memory of a whole
 * segment with it. An inode that is gone is ESTALE, on which the kernel looks the name up again.
 *
 * The kernel refuses an open that takes another road than one still open, so the first decides: it
 * has a backing id made, which the last close gives back, or goes by direct I/O. */
#include "fuse/inodes.h"

#include <errno.h>
#include <stdlib.h>

#include "fuse/channel.h"
#include "fuse/hash.h"
#include "fuse/store.h"

struct inode {
	uint64_t ino;
	uint64_t lookups;
	uint64_t opens;
	struct store_node *node; /* while there are opens: held */
	int backing;             /* likewise: their backing id, or 0 */
	UT_hash_handle hh;
};

void inodes_init(struct inodes *inodes, struct store *store, struct channel *channel, bool require)
{
	*inodes = (struct inodes){.store = store, .channel = channel, .require = require};
}

static void inode_free(struct inodes *inodes, struct inode *inode)
{
	HASH_DEL(inodes->table, inode);
	if (inode->opens)
		store_node_drop(inodes->store, inode->node, 1);
	free(inode);
}

void inodes_deinit(struct inodes *inodes)
{
	struct inode *inode;
	struct inode *next;

	HASH_ITER(hh, inodes->table, inode, next)
		inode_free(inodes, inode);
}

static struct inode *find(const struct inodes *inodes, uint64_t ino)
{
	struct inode *inode;

	HASH_FIND(hh, inodes->table, &ino, sizeof ino, inode);
	return inode;
}

struct store_node *inodes_find(const struct inodes *inodes, uint64_t ino)
{
	return find(inodes, ino) ? store_node_find(inodes->store, ino) : NULL;
}

static struct inode *inode_new(struct inodes *inodes, struct store_node *node)
{
	struct inode *inode = calloc(1, sizeof *inode);

	if (!inode)
		return NULL;
	inode->ino = store_node_ino(node);
	HASH_ADD(hh, inodes->table, ino, sizeof inode->ino, inode);
	/* With HASH_NONFATAL_OOM an element that could not be added has no table. */
	if (!inode->hh.tbl) {
		free(inode);
		return NULL;
	}
	return inode;
}

int inodes_give(struct inodes *inodes, struct store_node *node)
{
	struct inode *inode = find(inodes, store_node_ino(node));

	if (!inode)
		inode = inode_new(inodes, node);
	if (!inode)
		return -ENOMEM;
	inode->lookups++;
	return 0;
}

static void let_go_unused(struct inodes *inodes, struct inode *inode)
{
	if (!inode->lookups && !inode->opens)
		inode_free(inodes, inode);
}

void inodes_take_back(struct inodes *inodes, uint64_t ino, uint64_t times)
{
	struct inode *inode = find(inodes, ino);

	if (!inode)
		return;
	inode->lookups -= times < inode->lookups ? times : inode->lookups;
	let_go_unused(inodes, inode);
}

/* What one file meets with, such as a full table, it meets alone: it goes by direct I/O, others
 * need not. */
static int choose_road(struct inodes *inodes, struct inode *inode)
{
	struct store_node *node = store_node_find(inodes->store, inode->ino);
	int backing = inodes->channel->refusal;

	if (!node)
		return -ESTALE;
	if (backing == 0)
		backing = channel_open_backing(inodes->channel, store_node_file(node));
	if (backing < 0 && inodes->require)
		return backing;
	inode->node = store_node_hold(node);
	inode->backing = backing < 0 ? 0 : backing;
	return 0;
}

int inodes_open(struct inodes *inodes, uint64_t ino)
{
	struct inode *inode = find(inodes, ino);
	int result = 0;

	if (!inode)
		return -ESTALE;
	if (!inode->opens)
		result = choose_road(inodes, inode);
	if (result < 0)
		return result;
	inode->opens++;
	return inode->backing;
}

void inodes_close(struct inodes *inodes, uint64_t ino)
{
	struct inode *inode = find(inodes, ino);

	if (!inode || !inode->opens)
		return;
	inode->opens--;
	if (inode->opens)
		return;
	if (inode->backing)
		channel_close_backing(inodes->channel, inode->backing);
	inode->backing = 0;
	store_node_drop(inodes->store, inode->node, 1);
	inode->node = NULL;
	let_go_unused(inodes, inode);
}
