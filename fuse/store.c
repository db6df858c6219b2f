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
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/name.h"
#include "base/own.h"
#include "fuse/anon.h"
#include "fuse/memory.h"

enum { ROOM_WORTH_GIVING_BACK = 1024 };

int entry_new(struct store *store, const struct journal_entry *from, size_t record,
              struct store_node *node)
{
	struct store_entry *entry = calloc(1, sizeof *entry + from->name_length + 1);

	if (!entry)
		return -ENOMEM;
	entry->node = node;
	entry->cookie = from->cookie;
	entry->record = record;
	memcpy(entry->name, from->name, from->name_length);
	HASH_ADD_KEYPTR(hh, store->entries, entry->name, from->name_length, entry);
	/* With HASH_NONFATAL_OOM an element that could not be added has no table. */
	if (entry->hh.tbl && order_add(&store->order, entry->cookie, entry) < 0) {
		HASH_DEL(store->entries, entry);
		entry->hh.tbl = NULL;
	}
	if (!entry->hh.tbl) {
		free(entry);
		return -ENOMEM;
	}
	node->links++;
	shares_add(&store->names, record_of(node)->creator_uid);
	return 0;
}

struct store_entry *entry_find(const struct store *store, const char *name)
{
	struct store_entry *entry;

	HASH_FIND(hh, store->entries, name, strlen(name), entry);
	return entry;
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

int store_room(const struct store *store, uid_t uid, uint64_t *ret_total, uint64_t *ret_available)
{
	uint64_t total = UINT64_MAX;
	uint64_t available = UINT64_MAX;
	struct memory memory;
	int result = memory_read(&memory);

	if (result < 0)
		return result;
	anon_room(store->anon, uid, &total, &available);
	*ret_total = total < memory.total ? total : memory.total;
	*ret_available = available < memory.available ? available : memory.available;
	return 0;
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

struct store_node *store_lookup(struct store *store, const char *name)
{
	struct store_entry *entry = entry_find(store, name);

	return entry ? entry->node : NULL;
}

/* A file with its first bytes, still the daemon's own. */
static int make_file(struct store *store, uint64_t ino, const struct store_birth *birth)
{
	OWN_FD file = anon_create(store->anon, birth->uid, ino);
	ssize_t written;

	if (file < 0)
		return file;
	if (birth->initial_length) {
		written = pwrite(file, birth->initial, birth->initial_length, 0);
		if (written != (ssize_t)birth->initial_length) {
			int error = written < 0 ? errno : ENOSPC;

			anon_forget(store->anon, birth->uid, ino);
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
	bool kept = store->keep && !store->anon->by_name;
	int result = kept ? store->keep->put(store->keep, ino, file) : 0;

	if (result < 0)
		return result;
	memcpy(record.creator_command, birth->creator.command, sizeof record.creator_command);
	result = index_node(store, &record, file, ret_node);
	if (result < 0 && kept)
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
	int file = opened == -EACCES ? store_node_file(node) : -1;
	struct stat status;

	if (file < 0)
		return opened;
	if (fstat(file, &status) < 0 || fchmod(file, 0600) < 0)
		return -errno;
	opened = store_node_reopen(store, node, flags);
	if (fchmod(file, status.st_mode & 07777) == 0)
		return opened;
	if (opened >= 0)
		close(opened);
	return -EACCES;
}

int store_link(struct store *store, struct store_node *node, const char *name)
{
	size_t length = strlen(name);
	struct journal_entry record = {.parent = STORE_ROOT_INO, .ino = node->ino,
	                               .inode_at = (uint32_t)node->record};
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
	if (entry_new(store, &record, (size_t)at, node) == 0)
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
		opened = anon_reopen(store->anon, birth->uid, ino, file, *flags);
		result = opened < 0 ? opened : 0;
	}
	if (result < 0)
		close(file);
	else
		result = make_named(store, name, birth, ino, file, ret_node);
	if (result < 0)
		anon_forget(store->anon, birth->uid, ino);
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

/* The last one has gone of what were many. */
static void give_back(struct store *store)
{
	journal_shrink(&store->journal);
	order_deinit(&store->order);
	malloc_trim(0);
}

int entry_remove(struct store *store, struct store_entry *entry)
{
	struct store_node *node = entry->node;
	int result;

	/* Whoever has it open through the mount must find it when it has no name. */
	if (node->links == 1 && record_of(node)->opens) {
		result = node_pin(node);
		if (result < 0)
			return result;
	}
	store->journal.header->turn.cookie_removed = entry->cookie;
	shares_remove(&store->names, record_of(node)->creator_uid);
	journal_drop_entry(&store->journal, entry->record);
	order_remove(&store->order, entry->cookie);
	HASH_DEL(store->entries, entry);
	free(entry);
	node->links--;
	if (!node->links)
		anon_forget(store->anon, record_of(node)->creator_uid, node->ino);
	if (!node->links && !record_of(node)->opens)
		node_free(store, node);
	if (!store->nodes && store->order.room > ROOM_WORTH_GIVING_BACK)
		give_back(store);
	return 0;
}

int store_unlink(struct store *store, const char *name)
{
	struct store_entry *entry = entry_find(store, name);

	if (entry)
		return entry_remove(store, entry);
	return store_removed_before(store, name) ? 0 : -ENOENT;
}

const struct store_entry *store_entry_after(const struct store *store, uint64_t cookie)
{
	return order_after(&store->order, cookie);
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
