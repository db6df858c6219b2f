/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A store that begins, or goes on from what another process has left. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/name.h"
#include "base/own.h"
#include "fuse/anon.h"
#include "fuse/store_i.h"

/* A number in /proc/sys/fs; 0 where there is none. */
static int read_setting(const char *path)
{
	OWN_FD file = open(path, O_RDONLY | O_CLOEXEC);
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
		if (inode->kind < JOURNAL_REGULAR || inode->kind >= JOURNAL_KIND_COUNT ||
		    inode->ino >= store->journal.header->ino_next ||
		    (inode->ino == STORE_ROOT_INO && store_root(store)))
			return -EBADMSG;
		restoring->nodes[at] = node_new(store, inode->ino, at, -1);
		if (!restoring->nodes[at])
			return -ENOMEM;
		restoring->nodes[at]->shown = true;
	}
	return 0;
}

static bool entry_is_sound(const struct store *store, const struct journal_entry *entry)
{
	size_t length = strnlen(entry->name, sizeof entry->name);

	return entry->cookie < store->journal.header->cookie_next &&
	       length < sizeof entry->name && name_is_valid(entry->name, length) &&
	       entry->inode_at < store->journal.inodes.count &&
	       entry->parent_at < store->journal.inodes.count;
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
	struct store_node *folder;
	struct store_node *node;

	if (!entry_is_sound(store, entry))
		return -EBADMSG;
	folder = restoring->nodes[entry->parent_at];
	node = restoring->nodes[entry->inode_at];
	if (!node || node->ino != entry->ino || !folder || folder->ino != entry->parent ||
	    !folder->folder)
		return -EBADMSG;
	/* A folder has one name, and the root has none. */
	if (node->folder && (node->links || node->ino == STORE_ROOT_INO))
		return -EBADMSG;
	return entry_new(store, entry, at, folder, node);
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

static bool is_marked(const struct store_node *node, enum folder_seen seen)
{
	return node && node->ino != STORE_ROOT_INO && node->folder->seen == seen;
}

/* Does a folder lead up to the root, or to one that was removed, and not to itself? Each is passed
 * once, however deep the tree. */
static bool leads_up(struct store_node *folder)
{
	struct store_node *at;

	for (at = folder; is_marked(at, FOLDER_UNSEEN); at = at->folder->parent)
		at->folder->seen = FOLDER_PASSED;
	if (is_marked(at, FOLDER_PASSED))
		return false;
	for (at = folder; is_marked(at, FOLDER_PASSED); at = at->folder->parent)
		at->folder->seen = FOLDER_SOUND;
	return true;
}

/* In a journal of ours each folder leads up to the root, and one that was removed is empty. */
static int check_tree(const struct store *store)
{
	struct store_node *node;
	struct store_node *next;

	HASH_ITER(hh, store->nodes, node, next)
		if (node->folder &&
		    (!leads_up(node) || (!node->links && !folder_is_empty(node))))
			return -EBADMSG;
	return 0;
}

static int make_root(struct store *store, struct store_node **ret_root)
{
	struct store_birth birth = {
		.mode = S_IFDIR | S_ISVTX | 0777,
		.uid = geteuid(),
		.gid = getegid(),
	};
	int result = node_make(store, NULL, &birth, NULL, NULL, ret_root);

	if (result == 0)
		RECORD_SET(*ret_root, nameless, 0);
	return result;
}

/* The worker that was making it has been killed, and nobody has seen it. */
static int forget_half_root(struct store *store, struct store_node *root)
{
	struct node_name name = node_name_of(record_of(root));

	if (!folder_is_empty(root))
		return -EBADMSG;
	anon_forget_node(store->anon, name.text);
	node_free(store, root);
	return 0;
}

/* The root has no name: it is its own parent. Its record is the first: see journal_shrink. */
static int restore_root(struct store *store)
{
	struct store_node *root = store_root(store);
	int result = 0;

	if (root && root->folder && record_of(root)->nameless) {
		result = forget_half_root(store, root);
		root = NULL;
	}
	if (result == 0 && !root)
		result = make_root(store, &root);
	if (result < 0)
		return result;
	if (!root->folder || root->links || root->record)
		return -EBADMSG;
	root->links = 1;
	root->folder->parent = root;
	return 0;
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
	if (result == 0)
		result = restore_root(store);
	return result == 0 ? check_tree(store) : result;
}

/* It is looked at, and changed, with each name that comes or goes. */
static void open_root(struct store *store)
{
	struct node_name name = node_name_of(record_of(store_root(store)));

	store->root = openat(store->anon->nodes, name.text, O_PATH | O_NOFOLLOW | O_CLOEXEC);
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
	store->leftover = store->root = -1;
	store->protected = (struct store_protected){
		.regular = read_setting("/proc/sys/fs/protected_regular"),
		.fifos = read_setting("/proc/sys/fs/protected_fifos"),
		.links = read_setting("/proc/sys/fs/protected_symlinks"),
		.hardlinks = read_setting("/proc/sys/fs/protected_hardlinks"),
	};
	result = journal_init(&store->journal, journal);
	if (result == 0)
		result = restore_tables(store);
	if (result < 0) {
		store_free(store);
		return result;
	}
	open_root(store);
	*ret_store = store;
	return 0;
}

/* A kill may have left a file one name too many of those that count its names. Not only in a turn:
 * the reaper removes names in none. */
static void mend_links(struct store *store)
{
	struct store_node *node = store_node_find(store,
	                                          store->journal.header->turn.ino_linked);

	if (node && !node_is_special(node) && node->links)
		anon_unlink(store->anon, record_of(node)->creator_uid, node->ino, node->links);
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
		if (node->folder)
			order_deinit(&node->folder->order);
		free(node->folder);
		free(node);
	}
	fd_close_at(&store->leftover);
	fd_close_at(&store->root);
	journal_deinit(&store->journal);
	free(store);
	return NULL;
}

static void forget_object(const struct store_node *node)
{
	struct node_name name = node_name_of(record_of(node));

	if (node_is_special(node))
		anon_forget_node(node->store->anon, name.text);
	else
		anon_forget(node->store->anon, record_of(node)->creator_uid, node->ino);
}

/* With the names that only count. */
static void forget_all_names(const struct store_node *node)
{
	uint32_t count = node_is_special(node) ? 0 : node->links;

	while (count-- > 1)
		anon_unlink(node->store->anon, record_of(node)->creator_uid, node->ino, count);
	forget_object(node);
}

void store_discard(struct store *store)
{
	struct store_node *node;
	struct store_node *next;

	HASH_ITER(hh, store->nodes, node, next)
		forget_all_names(node);
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

/* A name whose file nobody has put back. Whoever has it open has lost it as well. The request that
 * may come again has not removed it. */
static void remove_lost(struct store *store, struct store_entry *entry)
{
	const struct journal_turn *turn = &store->journal.header->turn;
	uint64_t removed = turn->cookie_removed;
	uint64_t linked = turn->ino_linked;

	RECORD_SET(entry->node, opens, 0);
	RECORD_SET(entry->node, nameless, 0);
	entry_remove(store, entry);
	JOURNAL_SET(&store->journal, turn->cookie_removed, removed);
	JOURNAL_SET(&store->journal, turn->ino_linked, linked);
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
		if (entry->node->pinned && entry->node->file < 0)
			remove_lost(store, entry);
	}
	HASH_ITER(hh, store->nodes, node, next_node) {
		if (node->links)
			continue;
		forget_object(node);
		if (!record_of(node)->opens || !node->pinned || node->file < 0)
			node_free(store, node);
	}
	mend_links(store);
	/* The last one's file may be there without a record. */
	if (!store_node_find(store, store->journal.header->ino_next - 1))
		anon_forget_anywhere(store->anon, store->journal.header->ino_next - 1);
	store_pay_times(store);
}
