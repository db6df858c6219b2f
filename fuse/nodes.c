/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A node's file. Where files have names of their own and we may open any (root, in its tmpfs), one
 * is open only while it is used, and a few of the last used stay open: the number of segments is
 * then not that of descriptors, and the keeper has nothing to keep but the folder. Elsewhere, and
 * when the last name goes while the file is open through the mount, the node is pinned: its file
 * stays open, and the keeper has it too. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "base/own.h"
#include "fuse/anon.h"
#include "fuse/store_i.h"

enum { OPEN_MAX_UNPINNED = 256 };

static void close_unpinned(struct store *store, struct store_node *node)
{
	DL_DELETE(store->open_nodes, node);
	store->open_count--;
	fd_close_at(&node->file);
}

static void note_open(struct store *store, struct store_node *node)
{
	if (store->open_count == OPEN_MAX_UNPINNED)
		close_unpinned(store, store->open_nodes->prev);
	DL_PREPEND(store->open_nodes, node);
	store->open_count++;
}

struct store_node *node_new(struct store *store, uint64_t ino, size_t record, int file)
{
	struct store_node *node = calloc(1, sizeof *node);

	if (!node)
		return NULL;
	*node = (struct store_node){.store = store, .ino = ino, .record = record, .file = -1};
	HASH_ADD(hh, store->nodes, ino, sizeof node->ino, node);
	/* With HASH_NONFATAL_OOM an element that could not be added has no table. */
	if (!node->hh.tbl) {
		free(node);
		return NULL;
	}
	node->file = file;
	node->pinned = !store->anon->by_name;
	if (!node->pinned && file >= 0)
		note_open(store, node);
	return node;
}

void node_free(struct store *store, struct store_node *node)
{
	journal_drop_inode(&store->journal, node->record);
	if (store->keep && node->pinned)
		store->keep->drop(store->keep, node->ino);
	if (!node->pinned && node->file >= 0)
		close_unpinned(store, node);
	fd_close_at(&node->file);
	HASH_DEL(store->nodes, node);
	free(node);
}

int node_pin(struct store_node *node)
{
	struct store *store = node->store;
	int file = store_node_file(node);
	int result = 0;

	if (node->pinned || file < 0)
		return file < 0 ? file : 0;
	if (store->keep)
		result = store->keep->put(store->keep, node->ino, file);
	if (result < 0)
		return result;
	DL_DELETE(store->open_nodes, node);
	store->open_count--;
	node->pinned = true;
	return 0;
}

int store_node_file(struct store_node *node)
{
	struct store *store = node->store;

	if (node->pinned)
		return node->file >= 0 ? node->file : -ESTALE;
	if (node->file >= 0) {
		if (store->open_nodes != node) {
			DL_DELETE(store->open_nodes, node);
			DL_PREPEND(store->open_nodes, node);
		}
		return node->file;
	}
	node->file = anon_reopen(store->anon, record_of(node)->creator_uid, node->ino, -1,
	                         O_RDWR);
	if (node->file < 0) {
		int result = node->file;

		node->file = -1;
		return result;
	}
	note_open(store, node);
	return node->file;
}

int store_node_stat_file(const struct store_node *node, struct stat *ret_status)
{
	if (node->file < 0)
		return anon_stat(node->store->anon, record_of(node)->creator_uid, node->ino,
		                 ret_status);
	return fstat(node->file, ret_status) < 0 ? -errno : 0;
}

int store_node_stat(const struct store_node *node, struct stat *ret_status)
{
	struct stat status;
	int result = store_node_stat_file(node, &status);

	if (result < 0)
		return result;
	status.st_ino = node->ino;
	status.st_nlink = node->links;
	*ret_status = status;
	return 0;
}

struct store_node *store_node_find(struct store *store, uint64_t ino)
{
	struct store_node *node;

	HASH_FIND(hh, store->nodes, &ino, sizeof ino, node);
	return node;
}

/* Set to a number and not counted up, that the same request may come twice. */
static void set_opens(struct store *store, const struct store_node *node, uint32_t opens)
{
	struct journal_turn *turn = &store->journal.header->turn;

	if (store->again && turn->ino_opened == node->ino)
		opens = turn->opens;
	turn->opens = opens;
	__atomic_store_n(&turn->ino_opened, node->ino, __ATOMIC_RELEASE);
	record_of(node)->opens = opens;
}

void store_node_open(struct store *store, struct store_node *node)
{
	set_opens(store, node, record_of(node)->opens + 1);
}

void store_node_close(struct store *store, struct store_node *node)
{
	uint32_t opens = record_of(node)->opens;

	set_opens(store, node, opens ? opens - 1 : 0);
	if (!record_of(node)->opens && !node->links)
		node_free(store, node);
}

uint32_t store_node_opens(const struct store_node *node)
{
	return record_of(node)->opens;
}

int32_t store_node_backing(const struct store_node *node)
{
	return record_of(node)->backing;
}

void store_node_set_backing(struct store_node *node, int32_t backing)
{
	record_of(node)->backing = backing;
}

uint64_t store_node_orphan_since(const struct store_node *node)
{
	return record_of(node)->orphan_since;
}

void store_node_set_orphan_since(struct store_node *node, uint64_t since)
{
	record_of(node)->orphan_since = since;
}

void store_nodes_each(struct store *store, void (*each)(struct store_node *node, void *details),
                      void *details)
{
	struct store_node *node;
	struct store_node *next;

	HASH_ITER(hh, store->nodes, node, next)
		each(node, details);
}

uint64_t store_node_ino(const struct store_node *node)
{
	return node->ino;
}

void store_node_creator(const struct store_node *node, struct store_creator *ret_creator)
{
	const struct journal_inode *inode = record_of(node);

	*ret_creator = (struct store_creator){
		.pid = inode->creator_pid,
		.uid = inode->creator_uid,
		.start = inode->creator_start,
	};
	memcpy(ret_creator->command, inode->creator_command, sizeof ret_creator->command);
}

int store_node_reopen(struct store *store, const struct store_node *node, int flags)
{
	return anon_reopen(store->anon, record_of(node)->creator_uid, node->ino, node->file,
	                   flags);
}
