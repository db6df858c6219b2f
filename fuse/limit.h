/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much there may be, changed while it is served. The limits in force are in the journal, so
 * that the next worker has them too; what puts those of bytes into force are tmpfs of that size.
 *
 * Where users have shares, each is a tmpfs of its own. With a limit for all as well, a share is set
 * aside from that when its user makes the first file: the tmpfs of all the others becomes smaller
 * by it, and larger again when the share is empty and somebody needs the room. So the sizes of all
 * never add up to more than the limit. */
#ifndef SHMEMU_FUSE_LIMIT_H
#define SHMEMU_FUSE_LIMIT_H

#include <stdint.h>
#include <sys/types.h>

#include "base/wire.h"
#include "fuse/keep.h"

struct anon;
struct store;

struct limits {
	struct store *store; /* borrowed */
	struct anon *anon;   /* likewise */
	/* What takes the keeper's rights. Has it give a tmpfs that it keeps another size (0: any);
	 * `id` is a user's, and 0 for all. 0 or -errno, -EBUSY: more is in use. */
	int (*resize)(struct limits *limits, enum keep_kind kind, uint64_t id, uint64_t size);
	/* Has it make a tmpfs for a user, and keep it. Returns its folder, owned by the caller, or
	 * -errno. */
	int (*mount)(struct limits *limits, uid_t uid, uint64_t size);
	void (*drop)(struct limits *limits, uid_t uid);
};

/* Answers WIRE_LIMIT: changes the limit `what`, WIRE_LIMIT_..., to `value` (0: none), and tells
 * what the limits are then; with `what` 0 it only tells. `uid` is who asks. Returns 0, or, and then
 * nothing has changed, -EINVAL for what is no limit, and for users no limit; -EPERM for others than
 * root and our own user; -EBUSY when more is in use; -EOPNOTSUPP for bytes where there is no tmpfs,
 * and for users where each has none of its own. What is done twice is as if done once. */
int limit_change(struct limits *limits, uid_t uid, uint32_t what, uint64_t value,
                 struct wire_limits *ret_limits);

/* Tells of the first user from number `from` on who has a share; `uid` is who asks, and unless that
 * is root or our own user there is none but its own. Returns 1, or 0: there is none. */
int limit_next_share(const struct limits *limits, uid_t uid, uint64_t from,
                     struct wire_share *ret_share);

/* A tmpfs for a user's share. Returns its folder, owned by the caller, or -errno, -ENOSPC where the
 * limit for all has no room for it. */
int limit_share(struct limits *limits, uid_t uid);

/* Puts those of the journal's limits into force that are not the keeper's. */
void limit_restore(const struct limits *limits);

#endif
