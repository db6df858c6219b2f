/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two tables of the journal are the truth for names and inodes, and the anonymous files for all
 * that fstat tells. What is here besides is an index over them that a new worker builds again:
 * nodes by inode number, entries by folder and name and in the order of their cookies, of all
 * and of each folder.
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
#include "fuse/marks.h"
#include "fuse/memory.h"

enum { ROOM_WORTH_GIVING_BACK = 1024 };

static size_t make_key(const struct store_node *folder, const char *name, struct entry_key *ret_key)
{
	size_t length = strnlen(name, sizeof ret_key->name);

	ret_key->folder = folder->ino;
	memcpy(ret_key->name, name, length);
	return offsetof(struct entry_key, name) + length;
}

static bool entry_index(struct store *store, struct store_entry *entry, size_t length)
{
	HASH_ADD_KEYPTR(hh, store->entries, &entry->folder_ino,
	                offsetof(struct entry_key, name) + length, entry);
	/* With HASH_NONFATAL_OOM an element that could not be added has no table. */
	if (!entry->hh.tbl)
		return false;
	if (order_add(&store->order, entry->cookie, entry) == 0) {
		if (order_add(&entry->folder->folder->order, entry->cookie, entry) == 0)
			return true;
		order_remove(&store->order, entry->cookie);
	}
	HASH_DEL(store->entries, entry);
	return false;
}

int entry_new(struct store *store, const struct journal_entry *from, size_t record,
              struct store_node *folder, struct store_node *node)
{
	size_t length = strlen(from->name);
	struct store_entry *entry = calloc(1, sizeof *entry + length + 1);

	if (!entry)
		return -ENOMEM;
	entry->node = node;
	entry->folder = folder;
	entry->folder_ino = folder->ino;
	entry->cookie = from->cookie;
	entry->record = record;
	memcpy(entry->name, from->name, length);
	if (!entry_index(store, entry, length)) {
		free(entry);
		return -ENOMEM;
	}
	node->links++;
	if (node->folder) {
		node->folder->parent = folder;
		node->folder->entry = entry;
		folder->folder->folders++;
	}
	shares_add(&store->names, record_of(node)->creator_uid);
	return 0;
}

/* Every name that ceases to lead where it has led comes by here. */
void entry_forget(struct store *store, struct store_entry *entry)
{
	struct store_node *node = entry->node;
	struct store_node *folder = entry->folder;

	if (store->marks && folder->ino == STORE_ROOT_INO)
		marks_change(store->marks, entry->name, strlen(entry->name));
	shares_remove(&store->names, record_of(node)->creator_uid);
	order_remove(&store->order, entry->cookie);
	order_remove(&folder->folder->order, entry->cookie);
	HASH_DEL(store->entries, entry);
	free(entry);
	node->links--;
	if (node->folder) {
		node->folder->parent = NULL;
		node->folder->entry = NULL;
		folder->folder->folders--;
	}
}

struct store_entry *entry_find(const struct store *store, const struct store_node *folder,
                               const char *name)
{
	struct store_entry *entry;
	struct entry_key key;
	size_t size = make_key(folder, name, &key);

	HASH_FIND(hh, store->entries, &key, size, entry);
	return entry;
}

struct journal_entry entry_record(const struct store_node *folder, const char *name,
                                  const struct store_node *node, uint64_t cookie)
{
	struct journal_entry record = {
		.cookie = cookie,
		.parent = folder->ino,
		.ino = node->ino,
		.inode_at = (uint32_t)node->record,
		.parent_at = (uint32_t)folder->record,
	};

	memcpy(record.name, name, strlen(name));
	return record;
}

int name_check(const char *name)
{
	size_t length = strlen(name);

	if (name_is_valid(name, length))
		return 0;
	return length > NAME_LENGTH_MAX ? -ENAMETOOLONG : -EINVAL;
}

bool folder_is_empty(const struct store_node *node)
{
	return node->folder->order.count == node->folder->order.removed;
}

void store_owe_times(struct store *store)
{
	store->may_owe = true;
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
	const struct journal_turn *turn = &store->journal.header->turn;

	JOURNAL_SET(&store->journal, turn->result, result);
	JOURNAL_SET(&store->journal, turn->done, 1);
}

/* What need not be done before the answer: the last use of a segment's file, and the first of one
 * that will be looked at again. */
static void end_work(struct store *store)
{
	struct store_node *made = store->made ? store_node_find(store, store->made) : NULL;

	fd_close_at(&store->leftover);
	store->made = 0;
	if (made)
		store_node_file(made);
}

void store_turn_end(struct store *store)
{
	store->may_owe = false;
	store_pay_times(store);
	journal_turn_end(&store->journal);
	store->again = false;
	end_work(store);
}

void store_limit_names(struct store *store, uint64_t names)
{
	store->names.max = names;
}

struct journal *store_journal(struct store *store)
{
	return &store->journal;
}

/* Whose first file is still to come has a share only then; but that is all that there will be. */
static uint64_t share_to_come(const struct store *store, uid_t uid)
{
	uint64_t share = store->journal.header->limits.user_size;

	if (!share || !anon_has_users(store->anon) || uid == 0 || uid == geteuid() ||
	    anon_has_share(store->anon, uid))
		return UINT64_MAX;
	return share;
}

int store_room(const struct store *store, uid_t uid, uint64_t *ret_total, uint64_t *ret_available)
{
	uint64_t total = UINT64_MAX;
	uint64_t available = UINT64_MAX;
	uint64_t share = share_to_come(store, uid);
	struct memory memory;
	int result = memory_read(&memory);

	if (result < 0)
		return result;
	anon_room(store->anon, uid, &total, &available);
	total = total < share ? total : share;
	available = available < share ? available : share;
	*ret_total = total < memory.total ? total : memory.total;
	*ret_available = available < memory.available ? available : memory.available;
	return 0;
}

void store_limited_devices(const struct store *store, uid_t uid, uint64_t *ret_all,
                           uint64_t *ret_share)
{
	*ret_all = store->anon->size ? anon_device(store->anon, 0) : 0;
	*ret_share = anon_has_share(store->anon, uid) ? anon_device(store->anon, uid) : 0;
}

uint64_t store_names(const struct store *store)
{
	return HASH_COUNT(store->entries);
}

void store_limit_inodes(struct store *store, uint64_t inodes)
{
	store->inodes_max = inodes;
}

uint64_t store_inodes_limit(const struct store *store)
{
	return store->inodes_max;
}

/* Without the root. */
uint64_t store_inodes(const struct store *store)
{
	return HASH_COUNT(store->nodes) - 1;
}

struct store_node *store_lookup(struct store *store, const struct store_node *folder,
                                const char *name)
{
	struct store_entry *entry = entry_find(store, folder, name);

	return entry ? entry->node : NULL;
}

/* The name that the request under way has made before a kill, or NULL. */
static const struct store_entry *entry_made_before(const struct store *store,
                                                   const struct store_node *folder,
                                                   const char *name)
{
	const struct store_entry *entry = store->again ? entry_find(store, folder, name) : NULL;

	return entry && entry->cookie >= store->journal.header->turn.cookie_floor ? entry : NULL;
}

struct store_node *store_made_before(const struct store *store, const struct store_node *folder,
                                     const char *name)
{
	const struct store_entry *entry = entry_made_before(store, folder, name);

	return entry ? entry->node : NULL;
}

bool store_has_removed(const struct store *store)
{
	uint64_t removed = store->again ? store->journal.header->turn.cookie_removed : 0;
	const struct store_entry *entry = removed ? store_entry_after(store, removed - 1) : NULL;

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

/* A name for what may have one: with all that depends on it, but no judgement of what it is. Times
 * come first, here and wherever names change: who asks again after a kill may only be told that the
 * name has changed. */
static int add_name(struct store *store, struct store_node *node, struct store_node *folder,
                    const char *name)
{
	struct journal_entry record;
	int64_t at;
	int result;

	if (!shares_allow(&store->names, record_of(node)->creator_uid))
		return -ENOSPC;
	folder_changed(folder);
	record = entry_record(folder, name, node, journal_next_cookie(&store->journal));
	at = journal_add_entry(&store->journal, &record);
	if (at < 0)
		return (int)at;
	result = entry_new(store, &record, (size_t)at, folder, node);
	if (result < 0)
		journal_drop_entry(&store->journal, (size_t)at);
	return result;
}

/* May there be this name? */
static int check_name(const struct store *store, const struct store_node *folder, const char *name)
{
	int result = name_check(name);

	if (result < 0)
		return result;
	if (!folder->links)
		return -ENOENT;
	return entry_find(store, folder, name) ? -EEXIST : 0;
}

/* What never had a name gets its first, if nobody else took it away. */
static bool may_be_named(const struct store_node *node)
{
	return node->links || record_of(node)->nameless;
}

/* The file has a name more than those that lead to it: it would outlive the last of them. */
static void take_back_link(struct store *store, const struct store_node *node)
{
	if (!node_is_special(node) && node->links)
		anon_unlink(store->anon, record_of(node)->creator_uid, node->ino, node->links);
}

int store_link(struct store *store, struct store_node *node, struct store_node *folder,
               const char *name)
{
	int result;

	if (node->folder)
		return -EPERM;
	if (store_made_before(store, folder, name) == node) {
		RECORD_SET(node, nameless, 0);
		folder_changed(folder);
		node_touch(node);
		return 0;
	}
	result = check_name(store, folder, name);
	if (result < 0)
		return result;
	if (!may_be_named(node))
		return -ENOENT;
	JOURNAL_SET(&store->journal, store->journal.header->turn.ino_linked, node->ino);
	if (!node_is_special(node) && node->links)
		anon_link(store->anon, record_of(node)->creator_uid, node->ino, node->links);
	node_touch(node);
	result = add_name(store, node, folder, name);
	if (result < 0) {
		take_back_link(store, node);
		return result;
	}
	RECORD_SET(node, nameless, 0);
	return 0;
}

int store_identify(struct store *store, int file, struct store_node **ret_node)
{
	struct stat status;
	struct stat own;
	uint64_t ino;
	int result = anon_identify(store->anon, file, &status, &ino);

	if (result < 0)
		return result;
	*ret_node = store_node_find(store, ino);
	if (*ret_node && (store_node_stat_file(*ret_node, &own) < 0 ||
	                  own.st_dev != status.st_dev || own.st_ino != status.st_ino))
		*ret_node = NULL;
	return 0;
}

int store_adopt(struct store *store, int file, const struct store_creator *creator,
                struct store_node *folder, const char *name)
{
	struct store_node *node;
	int result = check_name(store, folder, name);

	if (result == 0)
		result = node_adopt(store, file, creator, &node);
	if (result < 0)
		return result;
	result = add_name(store, node, folder, name);
	if (result < 0)
		node_lost_name(store, node);
	return result;
}

static int create(struct store *store, struct store_node *folder, const char *name,
                  const struct store_birth *birth, struct store_node **ret_node, const int *flags)
{
	OWN_FD opened = -1;
	struct store_node *node;
	int result = check_name(store, folder, name);

	if (result < 0)
		return result;
	if (!shares_allow(&store->names, birth->uid))
		return -ENOSPC;
	result = node_make(store, folder, birth, flags, &opened, &node);
	if (result < 0)
		return result;
	/* Everything is in place before the name appears, and the name is the last thing that can
	 * fail. */
	result = add_name(store, node, folder, name);
	if (result < 0) {
		node_lost_name(store, node);
		return result;
	}
	*ret_node = node;
	return flags ? fd_steal(&opened) : 0;
}

int store_create(struct store *store, struct store_node *folder, const char *name,
                 const struct store_birth *birth, struct store_node **ret_node)
{
	struct store_node *made = store_made_before(store, folder, name);

	if (!made)
		return create(store, folder, name, birth, ret_node, NULL);
	folder_changed(folder);
	*ret_node = made;
	return 0;
}

int store_create_open(struct store *store, struct store_node *folder, const char *name,
                      const struct store_birth *birth, int flags, struct store_node **ret_node)
{
	return create(store, folder, name, birth, ret_node, &flags);
}

int store_create_nameless(struct store *store, const struct store_node *folder,
                          const struct store_birth *birth, struct store_node **ret_node)
{
	const struct journal_turn *turn = &store->journal.header->turn;
	struct store_node *node = store->again ? store_node_find(store, turn->ino_opened) : NULL;
	int result = 0;

	if (!node)
		result = node_make(store, folder, birth, NULL, NULL, &node);
	if (result < 0)
		return result;
	RECORD_SET(node, nameless, 1);
	result = node_keep_nameless(node);
	if (result < 0) {
		node_lost_name(store, node);
		return result;
	}
	store_node_open(store, node);
	anon_forget(store->anon, record_of(node)->creator_uid, node->ino);
	*ret_node = node;
	return 0;
}

/* The last one has gone of what were many. */
static void give_back(struct store *store)
{
	journal_shrink(&store->journal);
	order_deinit(&store->order);
	order_deinit(&store_root(store)->folder->order);
	malloc_trim(0);
}

/* Where room is limited it is to be there when the answer is. */
static bool may_be_left(const struct store *store)
{
	return store->journal.header->turn.active && !store->anon->size && !store->anon->users;
}

void store_close_later(struct store *store, int file)
{
	if (file < 0)
		return;
	fd_close_at(&store->leftover);
	store->leftover = file;
	if (!may_be_left(store))
		fd_close_at(&store->leftover);
}

static void forget_object(struct store *store, const struct store_node *node)
{
	uid_t uid = record_of(node)->creator_uid;

	if (node_is_special(node)) {
		anon_forget_node(store->anon, node_name_of(record_of(node)).text);
		return;
	}
	if (store->anon->by_name && node->file < 0 && may_be_left(store))
		store_close_later(store, anon_reopen(store->anon, uid, node->ino, -1, O_PATH));
	anon_forget(store->anon, uid, node->ino);
}

void node_lost_name(struct store *store, struct store_node *node)
{
	if (!node->links)
		forget_object(store, node);
	else if (!node_is_special(node))
		anon_unlink(store->anon, record_of(node)->creator_uid, node->ino, node->links);
	if (!node->links && !record_of(node)->opens)
		node_free(store, node);
	else
		node_touch(node);
	if (!store_inodes(store) && store->order.room > ROOM_WORTH_GIVING_BACK)
		give_back(store);
}

int node_keep_nameless(struct store_node *node)
{
	return node->links <= 1 && (record_of(node)->opens || record_of(node)->nameless) ?
		node_pin(node) : 0;
}

int node_prepare_to_go(struct store_node *node)
{
	struct node_name name;
	int result = 0;

	if (node->folder) {
		name = node_name_of(record_of(node));
		result = anon_clear_node(node->store->anon, name.text);
	}
	return result < 0 ? result : node_keep_nameless(node);
}

int entry_remove(struct store *store, struct store_entry *entry)
{
	struct store_node *node = entry->node;
	struct store_node *folder = entry->folder;
	int result = node_prepare_to_go(node);

	if (result < 0)
		return result;
	JOURNAL_SET(&store->journal, store->journal.header->turn.ino_linked, node->ino);
	JOURNAL_SET(&store->journal, store->journal.header->turn.cookie_removed, entry->cookie);
	folder_changed(folder);
	if (node->links > 1 || record_of(node)->opens)
		node_touch(node);
	journal_drop_entry(&store->journal, entry->record);
	entry_forget(store, entry);
	node_lost_name(store, node);
	return 0;
}

int store_unlink(struct store *store, struct store_node *folder, const char *name)
{
	struct store_entry *entry = entry_find(store, folder, name);

	if (!entry && store_has_removed(store)) {
		folder_changed(folder);
		return 0;
	}
	if (!entry)
		return -ENOENT;
	if (entry->node->folder && !folder_is_empty(entry->node))
		return -ENOTEMPTY;
	return entry_remove(store, entry);
}

const struct store_entry *store_entry_after(const struct store *store, uint64_t cookie)
{
	return order_after(&store->order, cookie);
}

const struct store_entry *store_entry_after_in(const struct store_node *folder, uint64_t cookie)
{
	return order_after(&folder->folder->order, cookie);
}

const struct store_entry *store_entry_before_in(const struct store_node *folder, uint64_t cookie)
{
	return order_before(&folder->folder->order, cookie);
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

struct store_node *store_entry_folder(const struct store_entry *entry)
{
	return entry->folder;
}
