/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store: a tree of names, and for each inode one anonymous file. Knows neither FUSE nor
 * sockets. */
#ifndef SHMEMU_FUSE_STORE_H
#define SHMEMU_FUSE_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/wire.h"

struct anon;
struct journal;
struct marks;
struct store;
struct store_node;
struct store_entry;

enum { STORE_ROOT_INO = 1 }; /* FUSE_ROOT_ID is 1 too */

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

/* A new inode: everything that must be in place before its name appears. */
struct store_birth {
	mode_t mode; /* type (0: a regular file) and permission bits; nothing is masked here */
	uid_t uid;
	gid_t gid;   /* a folder with set-group-id overrides it, and hands that bit on to folders */
	bool is_heir; /* that is done */
	dev_t device; /* of device nodes */
	struct store_creator creator;
	const void *initial; /* what a file holds at first, or a link's text; borrowed */
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
/* In this turn the times of a folder that nobody sees but by us may be set when it ends. */
void store_owe_times(struct store *store);
void store_turn_end(struct store *store);

/* Names that one uid may have, but for root and the daemon's own; 0: as many as it likes. */
void store_limit_names(struct store *store, uint64_t names);
/* Inodes that there may be (--inodes); 0: as many as there is room for. -ENOSPC beyond. */
void store_limit_inodes(struct store *store, uint64_t inodes);
uint64_t store_inodes_limit(const struct store *store);

struct journal *store_journal(struct store *store); /* borrowed */

/* Bytes that there are, and are left, for a user's segments: the host's, or the limit's. 0 or
 * -errno. */
int store_room(const struct store *store, uid_t uid, uint64_t *ret_total, uint64_t *ret_available);

/* st_dev of where files have a limit: of all users', and of this one's share; 0: none. */
void store_limited_devices(const struct store *store, uid_t uid, uint64_t *ret_all,
                           uint64_t *ret_share);

uint64_t store_names(const struct store *store);
uint64_t store_inodes(const struct store *store);

/* A node is an inode in memory. It lives as long as it has a name or is open through the FUSE door;
 * a pointer to it is good until the next call into the store. */
struct store_node *store_node_find(struct store *store, uint64_t ino);
struct store_node *store_root(struct store *store);
void store_node_open(struct store *store, struct store_node *node);
void store_node_close(struct store *store, struct store_node *node);
uint32_t store_node_opens(const struct store_node *node);
/* Its names and opens together: with the last of them it goes. */
uint64_t store_node_holds(const struct store_node *node);
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
mode_t store_node_type(const struct store_node *node); /* S_IFREG, S_IFDIR ... */
void store_node_creator(const struct store_node *node, struct store_creator *ret_creator);
/* Read-write (a folder: read-only), borrowed until the next call into the store; or -errno. */
int store_node_file(struct store_node *node);
/* Whether that is what memfd_create gave, which the kernel does not count among those that have the
 * file open. */
bool store_node_is_memfd(const struct store_node *node);
int store_node_stat_file(const struct store_node *node, struct stat *ret_status); /* the kernel's */
/* Closes the file where it is only open because it was used: the kernel executes nothing that
 * somebody has open for writing. Returns whether it is still open. */
bool store_node_let_go(struct store_node *node);

/* All as stat(2) is to tell it, but st_dev; st_ino is the store's. */
int store_node_stat(const struct store_node *node, struct stat *ret_status);
int store_node_reopen(struct store *store, struct store_node *node,
                      int flags); /* fd owned by caller */

/* When it was made. 0 or -errno. */
int store_node_born(struct store_node *node, struct timespec *ret_time);

/* Changes of attributes, each 0 or -errno. Nobody's rights are judged. Set-id bits that chown(2)
 * clears are cleared. `times` as utimensat(2) takes them. For links as well, but their mode. */
int store_node_chmod(struct store_node *node, mode_t mode);
int store_node_chown(struct store_node *node, uid_t uid, gid_t gid); /* -1: leave */
int store_node_set_times(struct store_node *node, const struct timespec times[2]);
/* A folder has been read, which may set its atime: that is the kernel's to know. */
void store_node_was_read(struct store_node *node);
/* Of a regular file. What grows is asked for here and now where the store has a limit: -ENOSPC, or
 * -EDQUOT where it is the owner's share that is full. */
int store_node_resize(struct store_node *node, off_t size);
/* As fallocate(2), with the same two errors. */
int store_node_allocate(struct store_node *node, int mode, off_t offset, off_t length);

/* As the system calls by their names, of what a link or a device node can't have as well as of what
 * a file can: -EPERM for user attributes of links and special files, -EOPNOTSUPP for other kinds
 * than user, trusted and security. */
int store_node_xattr_set(struct store_node *node, const char *name, const void *value, size_t size,
                         int flags);
ssize_t store_node_xattr_get(struct store_node *node, const char *name, void *value, size_t size);
ssize_t store_node_xattr_list(struct store_node *node, char *list, size_t size);
int store_node_xattr_remove(struct store_node *node, const char *name);

/* A link's text, without a NUL. Returns its length, or -errno: -EINVAL for what is no link. */
ssize_t store_node_readlink(struct store_node *node, char *text, size_t room);

/* Of folders. ".."; the root's is the root. NULL when it has been removed. */
struct store_node *store_node_parent(const struct store_node *node);
uint64_t store_node_secret(const struct store_node *node); /* see WIRE_FOLDER_NAME */
/* From the root, without a slash before it, with a NUL. Its length, or -errno: -ENOENT for what has
 * no name any more, -ENAMETOOLONG. */
ssize_t store_node_path(const struct store_node *node, char *path, size_t room);

/* The node that a name in a folder leads to, or NULL. */
struct store_node *store_lookup(struct store *store, const struct store_node *folder,
                                const char *name);

/* Makes an inode under a new name: the name appears when all else is in place. Returns 0, -EEXIST,
 * -EINVAL (no possible name), -ENAMETOOLONG, -ENOENT (the folder has been removed), -ENOSPC, or
 * -errno of what failed, and then nothing has changed. */
int store_create(struct store *store, struct store_node *folder, const char *name,
                 const struct store_birth *birth, struct store_node **ret_node);
/* O_TMPFILE: a regular file without a name, opened once as by store_node_open. `folder` gives its
 * group. */
int store_create_nameless(struct store *store, const struct store_node *folder,
                          const struct store_birth *birth, struct store_node **ret_node);

/* Gives a node one more name. 0, -EEXIST, -EINVAL, -EPERM (a folder), -ENOENT (the folder is gone),
 * -ENOSPC (full, or the owner's share is). */
int store_link(struct store *store, struct store_node *node, struct store_node *folder,
               const char *name);

/* Removes a name. 0, -ENOENT, or -ENOTEMPTY for a folder that is not empty. Judges nobody's rights,
 * nor whether it was to be a folder: store_remove does. */
int store_unlink(struct store *store, struct store_node *folder, const char *name);

/* renameat2(2) with RENAME_NOREPLACE, RENAME_EXCHANGE and RENAME_WHITEOUT; all errors that do not
 * depend on who asks. A whiteout is the actor's. All or nothing, whenever it is killed. */
int store_rename(struct store *store, struct store_node *folder, const char *name,
                 struct store_node *new_folder, const char *new_name, unsigned flags,
                 const struct store_actor *actor);
/* Those that can't be, or not together: -EINVAL, before any path is looked at. */
int store_check_rename_flags(unsigned flags);
/* Has the request under way done that, or removed its name, before a kill? Then its paths may lead
 * nowhere now, or elsewhere. */
bool store_has_moved(const struct store *store);
bool store_has_removed(const struct store *store);

/* Goes through the names in the order they were made, which is stable while they come and go: the
 * first whose cookie is greater than `cookie`, or NULL. Of all folders, or of one. */
const struct store_entry *store_entry_after(const struct store *store, uint64_t cookie);
const struct store_entry *store_entry_after_in(const struct store_node *folder, uint64_t cookie);
/* The other way, from the newest (0) on: whoever reads a folder so comes to an end, however many
 * names are made meanwhile. */
const struct store_entry *store_entry_before_in(const struct store_node *folder, uint64_t cookie);
const char *store_entry_name(const struct store_entry *entry);
uint64_t store_entry_cookie(const struct store_entry *entry);
struct store_node *store_entry_node(const struct store_entry *entry);
struct store_node *store_entry_folder(const struct store_entry *entry);

/* For those who remember where names of the root folder lead, and open the files themselves, by
 * number (base/marks.h). From now on the marks (borrowed) change with the names. 0, or -EOPNOTSUPP
 * where files can't be opened so. */
int store_have_marks(struct store *store, struct marks *marks);
void store_change_marks(struct store *store); /* all of them */
/* What WIRE_WANT_FOLDER gives: a folder, O_PATH, owned by the caller, or -errno. There are marks.
 */
int store_open_place(struct store *store);
/* The number of the file that this name of the root folder leads to; 0: it has none. */
uint64_t store_number(struct store *store, const char *name);
/* Can all regular files of a user's that are new be? */
bool store_has_numbers(const struct store *store, uid_t uid);

/* Told of each folder whose entries or attributes have changed, for whoever caches them. One
 * listener at most; NULL: none. */
void store_watch(struct store *store, void (*changed)(void *details, uint64_t ino), void *details);

/* Judged as the kernel judges, for the socket door: see walk.h for how a path becomes these. */

/* What open(2) on a name in a folder does, flag by flag and errno by errno. `birth`
 * is for O_CREAT. Links are not followed: O_NOFOLLOW is as if given. Returns a new descriptor owned
 * by the caller, or -errno; of what is no regular file an O_PATH one. *ret_node is the node opened,
 * *ret_created whether this call made it. */
int store_open(struct store *store, const struct store_actor *actor, struct store_node *folder,
               const char *name, int flags, const struct store_birth *birth,
               struct store_node **ret_node, bool *ret_created);

/* The same of O_CREAT for a name that is not there, without the opening. 0 or -errno. */
int store_make(struct store *store, const struct store_actor *actor, struct store_node *folder,
               const char *name, int flags, const struct store_birth *birth,
               struct store_node **ret_node);

/* The same for a folder itself, and for O_TMPFILE, whose file is nobody's else. */
int store_open_folder(struct store *store, const struct store_actor *actor,
                      struct store_node *node, int flags);
int store_open_nameless(struct store *store, const struct store_actor *actor,
                        struct store_node *folder, int flags, const struct store_birth *birth);

/* Drops the flags that others make void, and refuses those that can't be together: -EINVAL. */
int store_check_open_flags(int *flags);

/* What writing and truncating do to a file's set-id bits, unless by CAP_FSETID. */
void store_strip_set_id(const struct store_actor *actor, int file);

/* What unlink(2), or with `is_folder` rmdir(2), in a folder does: 0, -ENOENT, -EPERM, -EACCES,
 * -EISDIR, -ENOTDIR, -ENOTEMPTY. With `ino` the name must lead to that inode (-ENOENT otherwise).
 */
int store_remove(struct store *store, const struct store_actor *actor, struct store_node *folder,
                 const char *name, bool is_folder, uint64_t ino);

#endif
