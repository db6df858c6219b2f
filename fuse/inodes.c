/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel holds an inode by lookups, which it gives back at its leisure, and by open files. Only
 * an open file keeps the node. A lookup does not: when a name goes by the socket door the kernel
 * keeps what it looked up for as long as it likes, and the memory of a whole segment with it. So
 * lookups are not even counted: an inode that is gone is ESTALE, on which the kernel looks the name
 * up again, and its number never comes back.
 *
 * The kernel refuses an open that takes another road than one still open, so the first decides: it
 * has a backing id made, which the last close gives back, or goes by direct I/O. Counts and ids are
 * in the journal, since they outlive the worker. */
#include "fuse/inodes.h"

#include <errno.h>
#include <stdlib.h>

#include "fuse/channel.h"
#include "fuse/journal.h"
#include "fuse/store.h"

/* What one file meets with, such as a full table, it meets alone: it goes by direct I/O, others
 * need not. */
static int choose_road(struct inodes *inodes, struct store_node *node)
{
	const struct journal *journal = store_journal(inodes->store);
	int backing = inodes->channel->refusal;
	int file = store_node_file(node);

	/* Had already, by this very request before a kill. */
	if (store_node_backing(node))
		return 0;
	if (file < 0)
		return file;
	if (backing == 0)
		backing = channel_open_backing(inodes->channel, file);
	if (backing < 0)
		return inodes->require ? backing : 0;
	if (backing > journal->header->fuse.backing_last)
		JOURNAL_SET(journal, journal->header->fuse.backing_last, backing);
	store_node_set_backing(node, backing);
	return 0;
}

int inodes_open(struct inodes *inodes, uint64_t ino)
{
	struct store_node *node = store_node_find(inodes->store, ino);
	int result = 0;

	if (!node)
		return -ESTALE;
	if (!store_node_opens(node))
		result = choose_road(inodes, node);
	if (result < 0)
		return result;
	store_node_open(inodes->store, node);
	return store_node_backing(node);
}

int inodes_adopt(struct inodes *inodes, uint64_t ino)
{
	struct store_node *node = store_node_find(inodes->store, ino);
	int result = node ? choose_road(inodes, node) : -ESTALE;

	return result < 0 ? result : store_node_backing(node);
}

static void give_back(struct inodes *inodes, struct store_node *node)
{
	if (store_node_backing(node))
		channel_close_backing(inodes->channel, store_node_backing(node));
	store_node_set_backing(node, 0);
}

void inodes_close(struct inodes *inodes, uint64_t ino)
{
	struct store_node *node = store_node_find(inodes->store, ino);

	if (!node || !store_node_opens(node))
		return;
	if (store_node_opens(node) == 1)
		give_back(inodes, node);
	store_node_close(inodes->store, node);
}

struct sweep {
	struct inodes *inodes;
	int32_t id;
	bool found;
};

static void look_for(struct store_node *node, void *details)
{
	struct sweep *sweep = details;

	if (!store_node_opens(node))
		give_back(sweep->inodes, node);
	sweep->found |= store_node_backing(node) == sweep->id;
}

/* The kernel counts ids up, so one that was had and not noted is the one after the last noted. */
void inodes_sweep(struct inodes *inodes)
{
	int32_t last = store_journal(inodes->store)->header->fuse.backing_last;

	for (int32_t id = last; id <= last + 1; id++) {
		struct sweep sweep = {inodes, id, false};

		store_nodes_each(inodes->store, look_for, &sweep);
		if (!sweep.found && id > 0)
			channel_close_backing(inodes->channel, id);
	}
}
