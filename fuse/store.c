/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two tables of the journal are the truth for names and inodes, and the anonymous files for all
 * that fstat tells. What is here besides is an index over them that a new worker builds again:
 * nodes by inode number, entries by name and in the order of their cookies.
 *
 * A node counts its names (links) and its opens at the FUSE door. It goes, and its file with it,
 * when both are none. The socket door holds nothing: what it hands out is the kernel's to keep
 * alive.
 *
 * Requests are served one after another, so a kill leaves at most one half done. The journal names
 * it (its turn), and what it has made shows by its cookie. */
#include "fuse/store_i.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/name.h"
#include "base/own.h"
#include "fuse/anon.h"
#include "fuse/hash.h"
#include "fuse/journal.h"
#include "fuse/share.h"

struct store_node {
	struct store *store;
	uint64_t ino;
	size_t record; /* its place in the journal */
	uint32_t links;
	int file; /* owned; -1 while a taken-over store waits for it */
	UT_hash_handle hh;
};

struct store_entry {
	struct store_node *node;
	uint64_t cookie;
	size_t record;
	UT_hash_handle hh; /* by name; in the order of cookies */
	char name[];
};

struct store {
	struct journal journal;
	struct anon *anon; /* borrowed */
	struct store_keep *keep; /* borrowed; NULL: none */
	struct store_node *nodes;
	struct store_entry *entries;
	struct shares names; /* of each uid */
	bool again;         /* the request under way was begun before a kill */
	int protected_regular;
};

static int read_protected_regular(void)
{
	OWN_FD file = open("/proc/sys/fs/protected_regular", O_RDONLY | O_CLOEXEC);
	char text[8] = "";

	if (file < 0 || read(file, text, sizeof text - 1) <= 0)
		return 0;
	return atoi(text);
}

static struct store_node *node_new(struct store *store, uint64_t ino, size_t record, int file)
{
	struct store_node *node = calloc(1, sizeof *node);

	if (!node)
		return NULL;
	*node = (struct store_node){.store = store, .ino = ino, .record = record, .file = file};
	HASH_ADD(hh, store->nodes, ino, sizeof node->ino, node);
	/* With HASH_NONFATAL_OOM an element that could not be added has no table. */
	if (!node->hh.tbl) {
		free(node);
		return NULL;
	}
	return node;
}

static struct journal_inode *record_of(const struct store_node *node)
{
	return journal_inode_at(&node->store->journal, node->record);
}

/* Out of the index and the journal, its file with it. The source has forgotten it with its last
 * name. */
static void node_free(struct store *store, struct store_node *node)
{
	journal_drop_inode(&store->journal, node->record);
	if (store->keep)
		store->keep->drop(store->keep, node->ino);
	HASH_DEL(store->nodes, node);
	fd_close_at(&node->file);
	free(node);
}

static struct store_entry *entry_new(struct store *store, const struct journal_entry *from,
                                     size_t record, struct store_node *node)
{
	struct store_entry *entry = calloc(1, sizeof *entry + from->name_length + 1);

	if (!entry)
		return NULL;
	entry->node = node;
	entry->cookie = from->cookie;
	entry->record = record;
	memcpy(entry->name, from->name, from->name_length);
	HASH_ADD_KEYPTR(hh, store->entries, entry->name, from->name_length, entry);
	if (!entry->hh.tbl) {
		free(entry);
		return NULL;
	}
	node->links++;
	shares_add(&store->names, record_of(node)->creator_uid);
	return entry;
}

static struct store_entry *entry_find(const struct store *store, const char *name)
{
	struct store_entry *entry;

	HASH_FIND(hh, store->entries, name, strlen(name), entry);
	return entry;
}

static int restore_inodes(struct store *store)
{
	for (size_t at = 0; at < store->journal.inodes.count; at++) {
		const struct journal_inode *inode = journal_inode_at(&store->journal, at);

		if (!inode->ino)
			continue;
		if (inode->kind != JOURNAL_REGULAR ||
		    inode->ino >= store->journal.header->ino_next ||
		    store_node_find(store, inode->ino))
			return -EBADMSG;
		if (!node_new(store, inode->ino, at, -1))
			return -ENOMEM;
	}
	return 0;
}

static bool entry_is_sound(const struct store *store, const struct journal_entry *entry)
{
	return entry->cookie < store->journal.header->cookie_next &&
	       entry->parent == STORE_ROOT_INO && entry->name_length < sizeof entry->name &&
	       !entry->name[entry->name_length] && name_is_valid(entry->name, entry->name_length) &&
	       !entry_find(store, entry->name);
}

static int by_cookie(const struct store_entry *a, const struct store_entry *b)
{
	return a->cookie < b->cookie ? -1 : a->cookie > b->cookie;
}

static int restore_entries(struct store *store)
{
	for (size_t at = 0; at < store->journal.entries.count; at++) {
		const struct journal_entry *entry = journal_entry_at(&store->journal, at);
		struct store_node *node;

		if (!entry->cookie)
			continue;
		if (!entry_is_sound(store, entry))
			return -EBADMSG;
		node = store_node_find(store, entry->ino);
		if (!node)
			return -EBADMSG;
		if (!entry_new(store, entry, at, node))
			return -ENOMEM;
	}
	/* Places in the table are used again; the order of names is that of their cookies. */
	HASH_SORT(store->entries, by_cookie);
	return 0;
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
		result = restore_inodes(store);
	if (result == 0)
		result = restore_entries(store);
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
		anon_forget(store->anon, node->ino);
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
	return 0;
}

void store_restore_end(struct store *store)
{
	struct store_entry *entry;
	struct store_entry *next_entry;
	struct store_node *node;
	struct store_node *next_node;

	HASH_ITER(hh, store->entries, entry, next_entry)
		if (entry->node->file < 0)
			store_unlink(store, entry->name);
	HASH_ITER(hh, store->nodes, node, next_node) {
		if (node->links)
			continue;
		anon_forget(store->anon, node->ino);
		if (!record_of(node)->opens || node->file < 0)
			node_free(store, node);
	}
	/* The last one's file may be there without a record. */
	if (!store_node_find(store, store->journal.header->ino_next - 1))
		anon_forget(store->anon, store->journal.header->ino_next - 1);
}

bool store_turn_begin(struct store *store, uint64_t asker, uint64_t serial)
{
	store->again = journal_turn_begin(&store->journal, asker, serial);
	return store->again;
}

bool store_turn_is_again(const struct store *store)
{
	return store->again;
}

bool store_turn_done(const struct store *store, int64_t *ret_result)
{
	const struct journal_turn *turn = &store->journal.header->turn;

	if (!store->again || !turn->done)
		return false;
	*ret_result = turn->result;
	return true;
}

void store_turn_did(struct store *store, int64_t result)
{
	struct journal_turn *turn = &store->journal.header->turn;

	turn->result = result;
	__atomic_store_n(&turn->done, 1, __ATOMIC_RELEASE);
}

void store_turn_end(struct store *store)
{
	journal_turn_end(&store->journal);
	store->again = false;
}

void store_limit_names(struct store *store, uint64_t names)
{
	store->names.max = names;
}

struct journal *store_journal(struct store *store)
{
	return &store->journal;
}

uint64_t store_names(const struct store *store)
{
	return HASH_COUNT(store->entries);
}

uint64_t store_inodes(const struct store *store)
{
	return HASH_COUNT(store->nodes);
}

int store_protected_regular(const struct store *store)
{
	return store->protected_regular;
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

int store_node_file(const struct store_node *node)
{
	return node->file;
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

int store_node_stat(const struct store_node *node, struct stat *ret_status)
{
	struct stat status;

	if (fstat(node->file, &status) < 0)
		return -errno;
	status.st_ino = node->ino;
	status.st_nlink = node->links;
	*ret_status = status;
	return 0;
}

int store_node_reopen(struct store *store, const struct store_node *node, int flags)
{
	return anon_reopen(store->anon, node->ino, node->file, flags);
}

struct store_node *store_lookup(struct store *store, const char *name)
{
	struct store_entry *entry = entry_find(store, name);

	return entry ? entry->node : NULL;
}

/* A file with its first bytes, still the daemon's own. */
static int make_file(struct store *store, uint64_t ino, const struct store_birth *birth)
{
	OWN_FD file = anon_create(store->anon, ino);
	ssize_t written;

	if (file < 0)
		return file;
	if (birth->initial_length) {
		written = pwrite(file, birth->initial, birth->initial_length, 0);
		if (written != (ssize_t)birth->initial_length) {
			int error = written < 0 ? errno : ENOSPC;

			anon_forget(store->anon, ino);
			return -error;
		}
	}
	return fd_steal(&file);
}

/* chown first: it clears the set-id bits. */
static int give_away(int file, const struct store_birth *birth)
{
	/* A user's own daemon may lack a group that the user has taken on since. */
	if (fchown(file, birth->uid, birth->gid) < 0 &&
	    (errno != EPERM || fchown(file, birth->uid, (gid_t)-1) < 0))
		return -errno;
	return fchmod(file, birth->mode) < 0 ? -errno : 0;
}

static int index_node(struct store *store, const struct journal_inode *record, int file,
                      struct store_node **ret_node)
{
	int64_t at = journal_add_inode(&store->journal, record);

	if (at < 0)
		return (int)at;
	*ret_node = node_new(store, record->ino, (size_t)at, file);
	if (*ret_node)
		return 0;
	journal_drop_inode(&store->journal, (size_t)at);
	return -ENOMEM;
}

static int add_node(struct store *store, uint64_t ino, const struct store_birth *birth, int file,
                    struct store_node **ret_node)
{
	struct journal_inode record = {
		.ino = ino,
		.kind = JOURNAL_REGULAR,
		.creator_pid = birth->creator.pid,
		.creator_uid = birth->uid,
		.creator_start = birth->creator.start,
	};
	int result = store->keep ? store->keep->put(store->keep, ino, file) : 0;

	if (result < 0)
		return result;
	memcpy(record.creator_command, birth->creator.command, sizeof record.creator_command);
	result = index_node(store, &record, file, ret_node);
	if (result < 0 && store->keep)
		store->keep->drop(store->keep, ino);
	return result;
}

/* The name that the request under way has made before a kill, or NULL. */
static const struct store_entry *entry_made_before(const struct store *store, const char *name)
{
	const struct store_entry *entry = store->again ? entry_find(store, name) : NULL;

	return entry && entry->cookie >= store->journal.header->turn.cookie_floor ? entry : NULL;
}

struct store_node *store_made_before(const struct store *store, const char *name)
{
	const struct store_entry *entry = entry_made_before(store, name);

	return entry ? entry->node : NULL;
}

bool store_removed_before(const struct store *store, const char *name)
{
	uint64_t removed = store->again ? store->journal.header->turn.cookie_removed : 0;
	const struct store_entry *entry = entry_find(store, name);

	return removed && (!entry || entry->cookie != removed);
}

/* A user's daemon may not open its own file against the mode that it has got by now. */
int store_reopen_made(struct store *store, struct store_node *node, int flags)
{
	int opened = store_node_reopen(store, node, flags);
	struct stat status;

	if (opened != -EACCES)
		return opened;
	if (fstat(node->file, &status) < 0 || fchmod(node->file, 0600) < 0)
		return -errno;
	opened = store_node_reopen(store, node, flags);
	if (fchmod(node->file, status.st_mode & 07777) == 0)
		return opened;
	if (opened >= 0)
		close(opened);
	return -EACCES;
}

int store_link(struct store *store, struct store_node *node, const char *name)
{
	size_t length = strlen(name);
	struct journal_entry record = {.parent = STORE_ROOT_INO, .ino = node->ino};
	int64_t at;

	if (!name_is_valid(name, length))
		return length > NAME_LENGTH_MAX ? -ENAMETOOLONG : -EINVAL;
	if (store_made_before(store, name) == node)
		return 0;
	if (entry_find(store, name))
		return -EEXIST;
	if (!shares_allow(&store->names, record_of(node)->creator_uid))
		return -ENOSPC;
	record.cookie = journal_next_cookie(&store->journal);
	record.name_length = (uint32_t)length;
	memcpy(record.name, name, length);
	at = journal_add_entry(&store->journal, &record);
	if (at < 0)
		return (int)at;
	if (entry_new(store, &record, (size_t)at, node))
		return 0;
	journal_drop_entry(&store->journal, (size_t)at);
	return -ENOMEM;
}

/* Everything is in place before the name appears, and the name is the last thing that can fail. */
static int make_named(struct store *store, const char *name, const struct store_birth *birth,
                      uint64_t ino, int file, struct store_node **ret_node)
{
	struct store_node *node = NULL;
	int result = give_away(file, birth);

	if (result == 0)
		result = add_node(store, ino, birth, file, &node);
	if (result < 0) {
		close(file);
		return result;
	}
	result = store_link(store, node, name);
	if (result < 0)
		node_free(store, node);
	else
		*ret_node = node;
	return result;
}

static int create(struct store *store, const char *name, const struct store_birth *birth,
                  struct store_node **ret_node, const int *flags)
{
	OWN_FD opened = -1;
	uint64_t ino;
	int file;
	int result = 0;

	if (entry_find(store, name))
		return -EEXIST;
	if (!shares_allow(&store->names, birth->uid))
		return -ENOSPC;
	ino = journal_next_ino(&store->journal);
	file = make_file(store, ino, birth);
	if (file < 0)
		return file;
	if (flags) {
		opened = anon_reopen(store->anon, ino, file, *flags);
		result = opened < 0 ? opened : 0;
	}
	if (result < 0)
		close(file);
	else
		result = make_named(store, name, birth, ino, file, ret_node);
	if (result < 0)
		anon_forget(store->anon, ino);
	return result < 0 || !flags ? result : fd_steal(&opened);
}

int store_create(struct store *store, const char *name, const struct store_birth *birth,
                 struct store_node **ret_node)
{
	struct store_node *made = store_made_before(store, name);

	if (!made)
		return create(store, name, birth, ret_node, NULL);
	*ret_node = made;
	return 0;
}

int store_create_open(struct store *store, const char *name, const struct store_birth *birth,
                      int flags, struct store_node **ret_node)
{
	return create(store, name, birth, ret_node, &flags);
}

int store_unlink(struct store *store, const char *name)
{
	struct store_entry *entry = entry_find(store, name);
	struct store_node *node;

	if (!entry)
		return -ENOENT;
	node = entry->node;
	store->journal.header->turn.cookie_removed = entry->cookie;
	shares_remove(&store->names, record_of(node)->creator_uid);
	journal_drop_entry(&store->journal, entry->record);
	HASH_DEL(store->entries, entry);
	free(entry);
	node->links--;
	if (!node->links)
		anon_forget(store->anon, node->ino);
	if (!node->links && !record_of(node)->opens)
		node_free(store, node);
	return 0;
}

const struct store_entry *store_entry_after(const struct store *store, uint64_t cookie)
{
	const struct store_entry *entry = store->entries;

	while (entry && entry->cookie <= cookie)
		entry = entry->hh.next;
	return entry;
}

const struct store_entry *store_entry_next(const struct store_entry *entry)
{
	return entry->hh.next;
}

const char *store_entry_name(const struct store_entry *entry)
{
	return entry->name;
}

uint64_t store_entry_cookie(const struct store_entry *entry)
{
	return entry->cookie;
}

struct store_node *store_entry_node(const struct store_entry *entry)
{
	return entry->node;
}
