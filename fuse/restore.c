/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A store that begins, or goes on from what another process has left. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/name.h"
#include "base/own.h"
#include "fuse/anon.h"
#include "fuse/store_i.h"

static int read_protected_regular(void)
{
	OWN_FD file = open("/proc/sys/fs/protected_regular", O_RDONLY | O_CLOEXEC);
	char text[8] = "";

	if (file < 0 || read(file, text, sizeof text - 1) <= 0)
		return 0;
	return atoi(text);
}

/* While a journal is taken over. Nothing is looked up by hash: that was most of the time. */
struct restoring {
	struct store *store;
	struct store_node **nodes; /* by the place of their record */
};

static int restore_inodes(struct restoring *restoring)
{
	struct store *store = restoring->store;

	for (size_t at = 0; at < store->journal.inodes.count; at++) {
		const struct journal_inode *inode = journal_inode_at(&store->journal, at);

		if (!inode->ino)
			continue;
		if (inode->kind != JOURNAL_REGULAR ||
		    inode->ino >= store->journal.header->ino_next)
			return -EBADMSG;
		restoring->nodes[at] = node_new(store, inode->ino, at, -1);
		if (!restoring->nodes[at])
			return -ENOMEM;
	}
	return 0;
}

static bool entry_is_sound(const struct store *store, const struct journal_entry *entry)
{
	return entry->cookie < store->journal.header->cookie_next &&
	       entry->parent == STORE_ROOT_INO && entry->name_length < sizeof entry->name &&
	       !entry->name[entry->name_length] &&
	       name_is_valid(entry->name, entry->name_length) &&
	       entry->inode_at < store->journal.inodes.count;
}

/* An entry's record and the order that it comes in. */
struct place {
	uint64_t cookie;
	size_t at;
};

static int by_cookie(const void *left, const void *right)
{
	const struct place *a = left;
	const struct place *b = right;

	return a->cookie < b->cookie ? -1 : a->cookie > b->cookie;
}

/* Places in the table are used again; the order of names is that of their cookies. */
static int sort_entries(const struct store *store, struct place **ret_places, size_t *ret_count)
{
	size_t room = store->journal.entries.count;
	struct place *places = calloc(room, sizeof *places);
	bool sorted = true;
	size_t count = 0;

	if (!places)
		return -ENOMEM;
	for (size_t at = 0; at < room; at++) {
		uint64_t cookie = journal_entry_at(&store->journal, at)->cookie;

		if (!cookie)
			continue;
		sorted &= !count || places[count - 1].cookie < cookie;
		places[count++] = (struct place){cookie, at};
	}
	if (!sorted)
		qsort(places, count, sizeof *places, by_cookie);
	*ret_places = places;
	*ret_count = count;
	return 0;
}

static int restore_entry(struct restoring *restoring, size_t at)
{
	struct store *store = restoring->store;
	const struct journal_entry *entry = journal_entry_at(&store->journal, at);
	struct store_node *node;

	if (!entry_is_sound(store, entry))
		return -EBADMSG;
	node = restoring->nodes[entry->inode_at];
	return node && node->ino == entry->ino ? entry_new(store, entry, at, node) : -EBADMSG;
}

static int restore_entries(struct restoring *restoring)
{
	struct place *places;
	size_t count;
	int result = sort_entries(restoring->store, &places, &count);

	if (result < 0)
		return result;
	for (size_t i = 0; i < count && result == 0; i++) {
		bool is_next = i == 0 || places[i].cookie > places[i - 1].cookie;

		result = is_next ? restore_entry(restoring, places[i].at) : -EBADMSG;
	}
	free(places);
	return result;
}

static int restore_tables(struct store *store)
{
	struct restoring restoring = {
		.store = store,
		.nodes = calloc(store->journal.inodes.count, sizeof(struct store_node *)),
	};
	int result = restoring.nodes ? restore_inodes(&restoring) : -ENOMEM;

	if (result == 0)
		result = restore_entries(&restoring);
	free(restoring.nodes);
	return result;
}

int store_new(struct store **ret_store, int journal, struct anon *anon, struct store_keep *keep)
{
	struct store *store = calloc(1, sizeof *store);
	int result;

	if (!store) {
		close(journal);
		return -ENOMEM;
	}
	store->anon = anon;
	store->keep = keep;
	store->protected_regular = read_protected_regular();
	result = journal_init(&store->journal, journal);
	if (result == 0)
		result = restore_tables(store);
	if (result < 0) {
		store_free(store);
		return result;
	}
	*ret_store = store;
	return 0;
}

/* The index goes; the journal stays as it is, for whoever else has it. */
struct store *store_free(struct store *store)
{
	struct store_entry *entry;
	struct store_entry *next_entry;
	struct store_node *node;
	struct store_node *next_node;

	if (!store)
		return NULL;
	shares_deinit(&store->names);
	order_deinit(&store->order);
	HASH_ITER(hh, store->entries, entry, next_entry) {
		HASH_DEL(store->entries, entry);
		free(entry);
	}
	HASH_ITER(hh, store->nodes, node, next_node) {
		HASH_DEL(store->nodes, node);
		fd_close_at(&node->file);
		free(node);
	}
	journal_deinit(&store->journal);
	free(store);
	return NULL;
}

void store_discard(struct store *store)
{
	struct store_node *node;
	struct store_node *next;

	HASH_ITER(hh, store->nodes, node, next)
		anon_forget(store->anon, record_of(node)->creator_uid, node->ino);
}

int store_restore_file(struct store *store, uint64_t ino, int fd)
{
	struct store_node *node = store_node_find(store, ino);

	if (!node) {
		close(fd);
		return -ENOENT;
	}
	fd_close_at(&node->file);
	node->file = fd;
	node->pinned = true;
	return 0;
}

void store_restore_end(struct store *store)
{
	struct store_entry *entry;
	struct store_node *node;
	struct store_node *next_node;
	uint64_t cookie = 0;

	/* Each by itself and not by name: a journal that is not ours may have one twice. */
	while ((entry = order_after(&store->order, cookie))) {
		cookie = entry->cookie;
		if (entry->node->pinned && entry->node->file < 0 &&
		    entry_remove(store, entry) < 0)
			break;
	}
	HASH_ITER(hh, store->nodes, node, next_node) {
		if (node->links)
			continue;
		anon_forget(store->anon, record_of(node)->creator_uid, node->ino);
		if (!record_of(node)->opens || !node->pinned || node->file < 0)
			node_free(store, node);
	}
	/* The last one's file may be there without a record. */
	if (!store_node_find(store, store->journal.header->ino_next - 1))
		anon_forget_anywhere(store->anon, store->journal.header->ino_next - 1);
}
