/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store: names, and for each inode one anonymous file. Knows neither FUSE nor sockets. */
#ifndef SHMEMU_FUSE_STORE_H
#define SHMEMU_FUSE_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/wire.h"

struct anon;
struct journal;
struct store;
struct store_node;
struct store_entry;

enum { STORE_ROOT_INO = 1 }; /* the one folder; FUSE_ROOT_ID is 1 too */

/* Who asks, for the judgement of modes. The two questions are asked only when the mode bits leave
 * it open; a NULL function answers no. */
struct store_actor {
	uid_t uid;
	gid_t gid;
	const void *details;
	bool (*in_group)(const struct store_actor *actor, gid_t gid); /* by a supplementary group */
	bool (*has_capability)(const struct store_actor *actor, int capability); /* CAP_... */
};

/* Who made a file, for people to read. */
struct store_creator {
	uint32_t pid;
	uint32_t uid;
	uint64_t start; /* field 22 of /proc/PID/stat, 0 if unknown */
	char command[WIRE_COMMAND_SIZE];
};

/* A new file: everything that must be in place before its name appears. */
struct store_birth {
	mode_t mode; /* permission bits; nothing is masked here */
	uid_t uid;
	gid_t gid;
	struct store_creator creator;
	const void *initial; /* what the file holds at first; borrowed */
	size_t initial_length;
};

/* Whoever keeps the files for the store's next process. A file is put there before it has a record:
 * whoever gets it from us will find it there after a kill. */
struct store_keep {
	/* The file is borrowed. 0 or -errno. */
	int (*put)(struct store_keep *keep, uint64_t ino, int file);
	void (*drop)(struct store_keep *keep, uint64_t ino);
};

/* Opens the store whose tables are in `journal`, a memfd as journal.h describes (taken; an empty
 * one is a new store), with files from `anon` (borrowed). Files of a store that is taken over are
 * put back one by one with store_restore_file; inodes whose file is not put back are dropped by
 * store_restore_end. `keep` is borrowed, and may be NULL. Returns 0 or -errno. */
int store_new(struct store **ret_store, int journal, struct anon *anon, struct store_keep *keep);
struct store *store_free(struct store *store); /* accepts and returns NULL */
/* Nobody takes the store over: what a program has mapped must keep its own memory alive, not all.
 */
void store_discard(struct store *store);

int store_restore_file(struct store *store, uint64_t ino,
                       int fd); /* takes fd; -ENOENT: unknown inode */
void store_restore_end(struct store *store);

/* A request begins and ends. One that an earlier process was killed in comes again: what it had
 * done by then is found and told as if done now, not done twice. `asker` and `serial` tell whether
 * it is the same; returned is whether it comes again. */
bool store_turn_begin(struct store *store, uint64_t asker, uint64_t serial);
/* What changes a file itself must not be done after the answer, when others may have changed it
 * since: store_turn_did notes the result before the answer, store_turn_done finds it there after a
 * kill. */
bool store_turn_done(const struct store *store, int64_t *ret_result);
void store_turn_did(struct store *store, int64_t result);
bool store_turn_is_again(const struct store *store);
void store_turn_end(struct store *store);

/* Names that one uid may have, but for root and the daemon's own; 0: as many as it likes. */
void store_limit_names(struct store *store, uint64_t names);

struct journal *store_journal(struct store *store); /* borrowed */

/* Bytes that there are, and are left, for a user's segments: the host's, or the limit's. 0 or
 * -errno. */
int store_room(const struct store *store, uid_t uid, uint64_t *ret_total, uint64_t *ret_available);

uint64_t store_names(const struct store *store);
uint64_t store_inodes(const struct store *store);

/* A node is an inode in memory. It lives as long as it has a name or is open through the FUSE door;
 * a pointer to it is good until the next call into the store. */
struct store_node *store_node_find(struct store *store, uint64_t ino);
void store_node_open(struct store *store, struct store_node *node);
void store_node_close(struct store *store, struct store_node *node);
uint32_t store_node_opens(const struct store_node *node);
/* The kernel's name for the file while it is open: a backing id, or 0. */
int32_t store_node_backing(const struct store_node *node);
void store_node_set_backing(struct store_node *node, int32_t backing);
/* Since when it is known as an orphan, in seconds since the epoch; 0: is none. The reaper's. */
uint64_t store_node_orphan_since(const struct store_node *node);
void store_node_set_orphan_since(struct store_node *node, uint64_t since);
/* Goes through all nodes: calls `each` with every one. */
void store_nodes_each(struct store *store, void (*each)(struct store_node *node, void *details),
                      void *details);
uint64_t store_node_ino(const struct store_node *node);
void store_node_creator(const struct store_node *node, struct store_creator *ret_creator);
/* Read-write, borrowed until the next call into the store; or -errno. */
int store_node_file(struct store_node *node);
int store_node_stat_file(const struct store_node *node, struct stat *ret_status); /* the kernel's */
int store_node_stat(const struct store_node *node,
                    struct stat *ret_status); /* st_ino, st_nlink: the store's */
int store_node_reopen(struct store *store, const struct store_node *node,
                      int flags); /* fd owned by caller */

/* The node that a name leads to, or NULL. */
struct store_node *store_lookup(struct store *store, const char *name);

/* Makes a file under a new name: the name appears when all else is in place. Returns 0, -EEXIST,
 * -EINVAL (no possible name) or -errno of what failed, and then nothing has changed. */
int store_create(struct store *store, const char *name, const struct store_birth *birth,
                 struct store_node **ret_node);

/* Gives a node one more name. 0, -EEXIST, -EINVAL, -ENOSPC (full, or the owner's share is). */
int store_link(struct store *store, struct store_node *node, const char *name);

/* Removes a name. 0 or -ENOENT. Judges nobody's rights: store_remove does. */
int store_unlink(struct store *store, const char *name);

/* Goes through the names in the order they were made, which is stable while they come and go: the
 * first whose cookie is greater than `cookie`, or NULL. */
const struct store_entry *store_entry_after(const struct store *store, uint64_t cookie);
const char *store_entry_name(const struct store_entry *entry);
uint64_t store_entry_cookie(const struct store_entry *entry);
struct store_node *store_entry_node(const struct store_entry *entry);

/* What open(2) on a name in a folder of mode 1777 does, flag by flag and errno by errno. `birth`
 * is for O_CREAT. Returns a new descriptor owned by the caller, or -errno. *ret_node is the node
 * opened, *ret_created whether this call made it. */
int store_open(struct store *store, const struct store_actor *actor, const char *name, int flags,
               const struct store_birth *birth, struct store_node **ret_node, bool *ret_created);

/* What writing and truncating do to a file's set-id bits, unless by CAP_FSETID. */
void store_strip_set_id(int file);

/* What unlink(2) in a folder of mode 1777 owned by root does: 0, -ENOENT, -EPERM. With `ino` the
 * name must lead to that inode (-ENOENT otherwise). */
int store_remove(struct store *store, const struct store_actor *actor, const char *name,
                 uint64_t ino);

#endif
