/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the store's files share: store.c has the names, nodes.c the inodes, restore.c takes a
 * journal over, open.c judges. */
#ifndef SHMEMU_FUSE_STORE_I_H
#define SHMEMU_FUSE_STORE_I_H

#include "fuse/hash.h"
#include "fuse/journal.h"
#include "fuse/order.h"
#include "fuse/share.h"
#include "fuse/store.h"

struct store_node {
	struct store *store;
	uint64_t ino;
	size_t record; /* its place in the journal */
	uint32_t links;
	bool pinned; /* the file is open as long as the node lives, and the keeper's too */
	int file;    /* owned; -1: not open now */
	struct store_node *prev, *next; /* among the open ones that are not pinned */
	UT_hash_handle hh;
};

struct store_entry {
	struct store_node *node;
	uint64_t cookie;
	size_t record;
	UT_hash_handle hh; /* by name */
	char name[];
};

struct store {
	struct journal journal;
	struct anon *anon; /* borrowed */
	struct store_keep *keep; /* borrowed; NULL: none */
	struct store_node *nodes;
	struct store_node *open_nodes; /* not pinned; the last used first */
	size_t open_count;
	struct store_entry *entries;
	struct order order;  /* of entries, by cookie */
	struct shares names; /* of each uid */
	bool again;         /* the request under way was begun before a kill */
	int protected_regular;
};

static inline struct journal_inode *record_of(const struct store_node *node)
{
	return journal_inode_at(&node->store->journal, node->record);
}

/* A node with a record in the journal. `file` is taken on success only: to keep open, or -1. NULL:
 * no memory. */
struct store_node *node_new(struct store *store, uint64_t ino, size_t record, int file);

/* Out of the index and the journal, its file with it. The source has forgotten it with its last
 * name. */
void node_free(struct store *store, struct store_node *node);

/* Has the file kept, open and by the keeper. 0 or -errno. */
int node_pin(struct store_node *node);

/* A name with a record in the journal. 0 or -ENOMEM. */
int entry_new(struct store *store, const struct journal_entry *from, size_t record,
              struct store_node *node);
int entry_remove(struct store *store, struct store_entry *entry); /* as store_unlink */
struct store_entry *entry_find(const struct store *store, const char *name);

/* store_create that also opens the new file with `flags`, before its mode can stand in the way: a
 * file may be created 0000 and yet be open for writing. Returns the descriptor, owned by the
 * caller, or -errno. */
int store_create_open(struct store *store, const char *name, const struct store_birth *birth,
                      int flags, struct store_node **ret_node);

/* The node that the request under way has made under this name before a kill, or NULL; and opening
 * that as store_create_open would have. */
struct store_node *store_made_before(const struct store *store, const char *name);
int store_reopen_made(struct store *store, struct store_node *node, int flags);

/* Has the request under way removed this name before a kill? */
bool store_removed_before(const struct store *store, const char *name);

/* The value of /proc/sys/fs/protected_regular. */
int store_protected_regular(const struct store *store);

#endif
