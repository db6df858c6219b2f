/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/share.h"

#include <stdlib.h>
#include <unistd.h>

#include "fuse/hash.h"
#include "fuse/ids.h"

struct share {
	uid_t uid;
	uint64_t count;
	UT_hash_handle hh;
};

static struct share *find(const struct shares *shares, uid_t uid)
{
	struct share *share;

	HASH_FIND(hh, shares->table, &uid, sizeof uid, share);
	return share;
}

static uint64_t shares_of(const struct shares *shares, uid_t uid)
{
	const struct share *share = find(shares, uid);

	return share ? share->count : 0;
}

bool shares_allow(const struct shares *shares, uid_t uid)
{
	if (!shares->max || uid == 0 || ids_is_own_user(uid))
		return true;
	return shares_of(shares, uid) < shares->max;
}

static struct share *share_new(struct shares *shares, uid_t uid)
{
	struct share *share = calloc(1, sizeof *share);

	if (!share)
		return NULL;
	share->uid = uid;
	HASH_ADD(hh, shares->table, uid, sizeof share->uid, share);
	/* With HASH_NONFATAL_OOM an element that could not be added has no table. */
	if (share->hh.tbl)
		return share;
	free(share);
	return NULL;
}

void shares_add(struct shares *shares, uid_t uid)
{
	struct share *share = find(shares, uid);

	if (!share)
		share = share_new(shares, uid);
	if (share)
		share->count++;
}

void shares_remove(struct shares *shares, uid_t uid)
{
	struct share *share = find(shares, uid);

	if (!share || --share->count)
		return;
	HASH_DEL(shares->table, share);
	free(share);
}

void shares_deinit(struct shares *shares)
{
	struct share *share;
	struct share *next;

	HASH_ITER(hh, shares->table, share, next) {
		HASH_DEL(shares->table, share);
		free(share);
	}
}
