/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much of something each uid has. */
#ifndef SHMEMU_FUSE_SHARE_H
#define SHMEMU_FUSE_SHARE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct share;

struct shares {
	struct share *table;
	uint64_t max; /* of one uid, but for root and our own; 0: no limit */
};

/* May this uid have one more? */
bool shares_allow(const struct shares *shares, uid_t uid);

/* Counts one more, or one less. Without memory for it nothing is counted, and nothing is missed
 * when it goes. */
void shares_add(struct shares *shares, uid_t uid);
void shares_remove(struct shares *shares, uid_t uid);

void shares_deinit(struct shares *shares);

#endif
