/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the calls on paths do, judged as the kernel judges: for the socket door. Each takes where
 * its paths lead (walk.h) and returns 0 or -errno, in the order in which Linux finds what is
 * wrong. */
#ifndef SHMEMU_FUSE_TREE_H
#define SHMEMU_FUSE_TREE_H

#include <stdbool.h>
#include <stdint.h>

struct store;
struct store_actor;
struct store_birth;
struct store_creator;
struct store_node;
struct walk;

/* Is there something, and a folder where a slash says so? -ENOENT, -ENOTDIR. */
int tree_check_found(const struct walk *walk);

/* open(2): see store_open. A descriptor owned by the caller, with what it is of in walk->node (of
 * O_TMPFILE the folder), or -errno. */
int tree_open(struct store *store, const struct store_actor *actor, struct walk *walk, int flags,
              const struct store_birth *birth, bool *ret_created);

/* mkdir(2), mknod(2), symlink(2). */
int tree_make(struct store *store, const struct store_actor *actor, struct walk *walk,
              const struct store_birth *birth);

/* link(2): what `from` leads to gets the name that `to` ends with. */
int tree_link(struct store *store, const struct store_actor *actor, struct walk *from,
              struct walk *to);

/* The same for a file that somebody has open (borrowed): one of the store's, by whatever name, or
 * one that O_TMPFILE gave and that never had a name. -ENOENT for one that has lost its last name,
 * -EXDEV for a stranger. */
int tree_link_file(struct store *store, const struct store_actor *actor, int file,
                   const struct store_creator *creator, struct walk *to);

/* renameat2(2). */
int tree_rename(struct store *store, const struct store_actor *actor, struct walk *from,
                struct walk *to, unsigned flags);

/* Can the actor find out what names there are in a folder, going there from the root? Not in one
 * that lies very deep. */
bool tree_is_listable(const struct store_actor *actor, const struct store_node *folder);

/* unlink(2), rmdir(2). With `ino` only if the name leads to that (-ENOENT otherwise). */
int tree_remove(struct store *store, const struct store_actor *actor, struct walk *walk,
                bool is_folder, uint64_t ino);

#endif
