/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What store.c keeps for open.c. */
#ifndef SHMEMU_FUSE_STORE_I_H
#define SHMEMU_FUSE_STORE_I_H

#include "fuse/store.h"

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
