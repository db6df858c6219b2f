/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A node's file. Where files have names of their own and we may open any (root, in its tmpfs), one
 * is open only while it is used, and a few of the last used stay open: the number of segments is
 * then not that of descriptors, and the keeper has nothing to keep but the folder. Elsewhere, and
 * when the last name goes while the file is open through the mount, the node is pinned: its file
 * stays open, and the keeper has it too. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <utlist.h>

#include "base/own.h"
#include "fuse/anon.h"
#include "fuse/ids.h"
#include "fuse/store_i.h"

enum { OPEN_MAX_UNPINNED = 256 };

/* As tmpfs tells a folder's size. */
enum { FOLDER_SIZE = 40, ENTRY_SIZE = 20 };

static const mode_t types[JOURNAL_KIND_COUNT] = {
	[JOURNAL_REGULAR] = S_IFREG,
	[JOURNAL_FOLDER] = S_IFDIR,
	[JOURNAL_LINK] = S_IFLNK,
	[JOURNAL_FIFO] = S_IFIFO,
	[JOURNAL_SOCKET] = S_IFSOCK,
	[JOURNAL_CHARACTER] = S_IFCHR,
	[JOURNAL_BLOCK] = S_IFBLK,
};

mode_t store_node_type(const struct store_node *node)
{
	return types[record_of(node)->kind];
}

/* JOURNAL_... for a type, or -EINVAL. */
static int kind_of(mode_t mode)
{
	if (!(mode & S_IFMT))
		return JOURNAL_REGULAR;
	for (int kind = JOURNAL_REGULAR; kind < JOURNAL_KIND_COUNT; kind++)
		if ((mode & S_IFMT) == types[kind])
			return kind;
	return -EINVAL;
}

struct node_name node_name_of(const struct journal_inode *record)
{
	struct node_name name;

	if (record->kind == JOURNAL_FOLDER)
		snprintf(name.text, sizeof name.text, WIRE_FOLDER_NAME "%llu:%016llx",
		         (unsigned long long)record->ino, (unsigned long long)record->secret);
	else
		snprintf(name.text, sizeof name.text, "%llu", (unsigned long long)record->ino);
	return name;
}

static void forget_open(struct store *store, struct store_node *node)
{
	DL_DELETE(store->open_nodes, node);
	store->open_count--;
}

static void close_unpinned(struct store *store, struct store_node *node)
{
	forget_open(store, node);
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
	if (node_is_folder(node)) {
		node->folder = calloc(1, sizeof *node->folder);
		if (!node->folder) {
			free(node);
			return NULL;
		}
	}
	HASH_ADD(hh, store->nodes, ino, sizeof node->ino, node);
	/* With HASH_NONFATAL_OOM an element that could not be added has no table. */
	if (!node->hh.tbl) {
		free(node->folder);
		free(node);
		return NULL;
	}
	node->file = file;
	node->pinned = !store->anon->by_name && !node_is_special(node);
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
		forget_open(store, node);
	store_close_later(store, fd_steal(&node->file));
	HASH_DEL(store->nodes, node);
	if (node->folder)
		order_deinit(&node->folder->order);
	free(node->folder);
	free(node);
}

bool store_node_let_go(struct store_node *node)
{
	if (!node->pinned && node->file >= 0)
		close_unpinned(node->store, node);
	return node->file >= 0;
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

/* Somebody else's folder, or our own that has no rights, is open as a path only. */
static int open_special(const struct store_node *node)
{
	struct node_name name = node_name_of(record_of(node));
	int nodes = node->store->anon->nodes;
	int file = -1;

	if (node_is_folder(node))
		file = openat(nodes, name.text, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (file < 0)
		file = openat(nodes, name.text, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return file < 0 ? -errno : file;
}

static int open_file(const struct store_node *node)
{
	if (node_is_special(node))
		return open_special(node);
	return anon_reopen(node->store->anon, record_of(node)->creator_uid, node->ino, -1, O_RDWR);
}

int store_node_file(struct store_node *node)
{
	struct store *store = node->store;
	int file;

	if (node->pinned)
		return node->file >= 0 ? node->file : -ESTALE;
	if (node->file >= 0) {
		if (store->open_nodes != node) {
			DL_DELETE(store->open_nodes, node);
			DL_PREPEND(store->open_nodes, node);
		}
		return node->file;
	}
	file = open_file(node);
	if (file < 0)
		return file;
	node->file = file;
	note_open(store, node);
	return node->file;
}

int store_node_stat_file(const struct store_node *node, struct stat *ret_status)
{
	bool is_root = node->ino == STORE_ROOT_INO && node->store->root >= 0;
	int file = is_root ? node->store->root : node->file;
	struct node_name name;

	if (file >= 0)
		return fstat(file, ret_status) < 0 ? -errno : 0;
	if (!node_is_special(node))
		return anon_stat(node->store->anon, record_of(node)->creator_uid, node->ino,
		                 ret_status);
	name = node_name_of(record_of(node));
	if (fstatat(node->store->anon->nodes, name.text, ret_status, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static void stat_folder(const struct store_node *node, struct stat *status)
{
	const struct folder *folder = node->folder;

	status->st_nlink = node->links ? 2 + folder->folders : 0;
	status->st_size = FOLDER_SIZE +
		(off_t)(folder->order.count - folder->order.removed) * ENTRY_SIZE;
	status->st_blocks = 0;
}

int store_node_stat(const struct store_node *node, struct stat *ret_status)
{
	const struct journal_inode *record = record_of(node);
	struct stat status;
	int result = store_node_stat_file(node, &status);

	if (result < 0)
		return result;
	status.st_ino = node->ino;
	status.st_nlink = node->links;
	status.st_mode = (status.st_mode & ~(mode_t)S_IFMT) | types[record->kind];
	status.st_rdev = (dev_t)record->device;
	if (record->kind == JOURNAL_LINK)
		status.st_mode |= 0777;
	if (record->kind == JOURNAL_LINK)
		status.st_blocks = 0;
	if (record->kind == JOURNAL_FOLDER)
		stat_folder(node, &status);
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
	const struct journal_turn *turn = &store->journal.header->turn;

	if (store->again && turn->ino_opened == node->ino)
		opens = turn->opens;
	JOURNAL_SET(&store->journal, turn->opens, opens);
	JOURNAL_SET(&store->journal, turn->ino_opened, node->ino);
	RECORD_SET(node, opens, opens);
}

void store_node_open(struct store *store, struct store_node *node)
{
	set_opens(store, node, record_of(node)->opens + 1);
}

struct store_node *store_root(struct store *store)
{
	return store_node_find(store, STORE_ROOT_INO);
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

uint64_t store_node_holds(const struct store_node *node)
{
	return (uint64_t)node->links + record_of(node)->opens;
}

int32_t store_node_backing(const struct store_node *node)
{
	return record_of(node)->backing;
}

void store_node_set_backing(struct store_node *node, int32_t backing)
{
	RECORD_SET(node, backing, backing);
}

uint64_t store_node_orphan_since(const struct store_node *node)
{
	return record_of(node)->orphan_since;
}

void store_node_set_orphan_since(struct store_node *node, uint64_t since)
{
	RECORD_SET(node, orphan_since, since);
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

bool store_node_is_memfd(const struct store_node *node)
{
	return node->store->anon->kind == ANON_MEMFD && S_ISREG(store_node_type(node));
}

int store_node_reopen(struct store *store, struct store_node *node, int flags)
{
	struct node_name name;
	int file;

	if (node_is_special(node)) {
		node->shown = true;
		name = node_name_of(record_of(node));
		file = openat(store->anon->nodes, name.text, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		return file < 0 ? -errno : file;
	}
	return anon_reopen(store->anon, record_of(node)->creator_uid, node->ino, node->file,
	                   flags);
}

static int write_first(int file, const struct store_birth *birth)
{
	ssize_t written;

	if (!birth->initial_length)
		return 0;
	written = pwrite(file, birth->initial, birth->initial_length, 0);
	if (written == (ssize_t)birth->initial_length)
		return 0;
	return written < 0 ? -errno : -ENOSPC;
}

/* chown first: it clears the set-id bits. A new file is ours, and 0600. */
static int give_away(int file, const struct store_birth *birth)
{
	bool is_ours = ids_are_own(birth->uid, birth->gid);

	/* A user's own daemon may lack a group that the user has taken on since. */
	if (!is_ours && fchown(file, birth->uid, birth->gid) < 0 &&
	    (errno != EPERM || fchown(file, birth->uid, (gid_t)-1) < 0))
		return -errno;
	if ((birth->mode & 07777) == 0600)
		return 0;
	return fchmod(file, birth->mode & 07777) < 0 ? -errno : 0;
}

static int give_special_away(int nodes, const char *name, const struct store_birth *birth)
{
	if (fchownat(nodes, name, birth->uid, birth->gid, AT_SYMLINK_NOFOLLOW) < 0 &&
	    (errno != EPERM ||
	     fchownat(nodes, name, birth->uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0))
		return -errno;
	return fchmodat(nodes, name, birth->mode & 07777, 0) < 0 ? -errno : 0;
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

/* The file is taken on success. */
static int add_node(struct store *store, const struct journal_inode *record, int file,
                    struct store_node **ret_node)
{
	bool kept = store->keep && !store->anon->by_name;
	int result = kept ? store->keep->put(store->keep, record->ino, file) : 0;

	if (result == 0)
		result = index_node(store, record, file, ret_node);
	if (result < 0 && kept)
		store->keep->drop(store->keep, record->ino);
	return result;
}

/* Its first bytes and its owner come in; in between it is opened with `flags`, unless that is NULL.
 */
static int fill_file(struct store *store, uint64_t ino, const struct store_birth *birth, int file,
                     const int *flags, int *ret_opened)
{
	int result = write_first(file, birth);
	OWN_FD opened = -1;

	if (result == 0 && flags)
		result = opened = anon_reopen(store->anon, birth->uid, ino, file, *flags);
	if (result >= 0)
		result = give_away(file, birth);
	if (result == 0 && flags)
		*ret_opened = fd_steal(&opened);
	return result;
}

/* What can be opened again by name need not be open for us as well. */
static bool serves_both(const struct store *store, const struct store_birth *birth,
                        const int *flags)
{
	return flags && store->anon->by_name &&
	       (!birth->initial_length || (*flags & O_ACCMODE) != O_RDONLY);
}

static int make_file(struct store *store, uint64_t ino, const struct store_birth *birth,
                     const int *flags, int *ret_file, int *ret_opened)
{
	bool is_one = serves_both(store, birth, flags);
	OWN_FD file = is_one ? anon_create_open(store->anon, birth->uid, ino, *flags) :
	                       anon_create(store->anon, birth->uid, ino);
	int result = file;

	if (file < 0)
		return file;
	result = fill_file(store, ino, birth, file, is_one ? NULL : flags, ret_opened);
	if (result < 0)
		anon_forget(store->anon, birth->uid, ino);
	else
		*(is_one ? ret_opened : ret_file) = fd_steal(&file);
	return result;
}

static int make_regular(struct store *store, const struct journal_inode *record,
                        const struct store_birth *birth, const int *flags, int *ret_opened,
                        struct store_node **ret_node)
{
	OWN_FD opened = -1;
	OWN_FD file = -1;
	int result = make_file(store, record->ino, birth, flags, &file, &opened);

	if (result < 0)
		return result;
	result = add_node(store, record, file, ret_node);
	if (result < 0) {
		anon_forget(store->anon, birth->uid, record->ino);
		return result;
	}
	if (file < 0)
		store->made = record->ino;
	fd_steal(&file);
	if (flags)
		*ret_opened = fd_steal(&opened);
	return 0;
}

/* The record comes first: what a kill leaves without a record nobody would find again. */
static int make_special(struct store *store, const struct journal_inode *record,
                        const struct store_birth *birth, struct store_node **ret_node)
{
	struct node_name name = node_name_of(record);
	int result = index_node(store, record, -1, ret_node);

	if (result < 0)
		return result;
	result = anon_make_node(store->anon, types[record->kind], name.text);
	if (result == 0)
		result = give_special_away(store->anon->nodes, name.text, birth);
	if (result < 0) {
		anon_forget_node(store->anon, name.text);
		node_free(store, *ret_node);
	}
	return result;
}

static int fill_record(struct journal_inode *record, const struct store_birth *birth)
{
	int kind = kind_of(birth->mode);

	if (kind < 0)
		return kind;
	record->kind = (uint32_t)kind;
	record->creator_pid = birth->creator.pid;
	record->creator_uid = birth->uid;
	record->creator_start = birth->creator.start;
	memcpy(record->creator_command, birth->creator.command, sizeof record->creator_command);
	if (kind == JOURNAL_CHARACTER || kind == JOURNAL_BLOCK)
		record->device = birth->device;
	if (kind == JOURNAL_FOLDER &&
	    getrandom(&record->secret, sizeof record->secret, 0) != sizeof record->secret)
		return -errno;
	return 0;
}

void node_inherit(const struct stat *folder, struct store_birth *birth)
{
	birth->is_heir = true;
	if (!(folder->st_mode & S_ISGID))
		return;
	birth->gid = folder->st_gid;
	if (S_ISDIR(birth->mode))
		birth->mode |= S_ISGID;
}

static int inherit(const struct store_node *folder, struct store_birth *birth)
{
	struct stat status;
	int result = birth->is_heir ? 0 : store_node_stat(folder, &status);

	if (result == 0 && !birth->is_heir)
		node_inherit(&status, birth);
	return result;
}

int node_make_nameless(struct store *store, const struct store_node *folder,
                       const struct store_birth *birth, int flags)
{
	struct store_birth heir = *birth;
	OWN_FD opened = -1;
	OWN_FD file = -1;
	int result = inherit(folder, &heir);

	if (result < 0)
		return result;
	file = anon_create_nameless(store->anon, heir.uid, !(flags & O_EXCL));
	if (file < 0)
		return file;
	opened = anon_reopen(store->anon, heir.uid, 0, file, flags & ~(O_TMPFILE | O_EXCL));
	if (opened < 0)
		return opened;
	result = give_away(file, &heir);
	return result < 0 ? result : fd_steal(&opened);
}

int node_adopt(struct store *store, int file, const struct store_creator *creator,
               struct store_node **ret_node)
{
	struct journal_inode record = {
		.kind = JOURNAL_REGULAR,
		.creator_pid = creator->pid,
		.creator_start = creator->start,
	};
	OWN_FD own = -1;
	struct stat status;
	int result;

	if (store->inodes_max && store_inodes(store) >= store->inodes_max)
		return -ENOSPC;
	if (fstat(file, &status) < 0)
		return -errno;
	record.ino = journal_next_ino(&store->journal);
	record.creator_uid = status.st_uid;
	memcpy(record.creator_command, creator->command, sizeof record.creator_command);
	result = anon_adopt(store->anon, status.st_uid, record.ino, file);
	if (result < 0)
		return result;
	own = anon_reopen(store->anon, status.st_uid, record.ino, file, O_RDWR);
	result = own < 0 ? own : add_node(store, &record, own, ret_node);
	if (result < 0)
		anon_forget(store->anon, status.st_uid, record.ino);
	else
		fd_steal(&own);
	return result;
}

int node_make(struct store *store, const struct store_node *folder,
              const struct store_birth *birth, const int *flags, int *ret_opened,
              struct store_node **ret_node)
{
	struct journal_inode record = {.ino = 0};
	struct store_birth heir = *birth;
	int result = fill_record(&record, birth);

	if (store->inodes_max && store_inodes(store) >= store->inodes_max)
		return -ENOSPC;
	if (result == 0 && folder)
		result = inherit(folder, &heir);
	if (result < 0)
		return result;
	/* A link's text is nobody's to write. */
	if (record.kind == JOURNAL_LINK)
		heir.mode = S_IFLNK | 0600;
	record.ino = folder ? journal_next_ino(&store->journal) : STORE_ROOT_INO;
	record.nameless = !folder;
	if (record.kind == JOURNAL_REGULAR || record.kind == JOURNAL_LINK)
		return make_regular(store, &record, &heir, flags, ret_opened, ret_node);
	return make_special(store, &record, &heir, ret_node);
}
