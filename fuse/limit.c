/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/limit.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "fuse/anon.h"
#include "fuse/journal.h"
#include "fuse/store.h"

enum { BLOCK_SIZE = 512 };

static const struct journal_limits *in_force(const struct limits *limits)
{
	return &store_journal(limits->store)->header->limits;
}

static uint64_t used_of(int folder)
{
	struct statvfs status;

	if (fstatvfs(folder, &status) < 0)
		return 0;
	return (uint64_t)(status.f_blocks - status.f_bfree) * status.f_frsize;
}

static uint64_t size_of(int folder)
{
	struct statvfs status;

	return fstatvfs(folder, &status) < 0 ? 0 : (uint64_t)status.f_blocks * status.f_frsize;
}

static int add_used(uid_t uid, int folder, void *details)
{
	(void)uid;
	*(uint64_t *)details += used_of(folder);
	return 0;
}

/* Folders, and what else is no file of ours, are in a folder of the host's. */
static void add_node(struct store_node *node, void *details)
{
	mode_t type = store_node_type(node);
	struct stat status;

	if ((S_ISREG(type) || S_ISLNK(type)) && store_node_stat_file(node, &status) == 0)
		*(uint64_t *)details += (uint64_t)status.st_blocks * BLOCK_SIZE;
}

static uint64_t used_by_all(const struct limits *limits)
{
	uint64_t used = 0;

	if (limits->anon->kind != ANON_TMPFS) {
		store_nodes_each(limits->store, add_node, &used);
		return used;
	}
	add_used(0, limits->anon->folder, &used);
	anon_each_user(limits->anon, add_used, &used);
	return used;
}

static int add_size(uid_t uid, int folder, void *details)
{
	(void)uid;
	*(uint64_t *)details += size_of(folder);
	return 0;
}

/* Gives what is not set aside for users, of `size` in all, to the tmpfs of the others. With `more`
 * that is to be set aside besides. */
static int resize_rest(struct limits *limits, uint64_t size, uint64_t more)
{
	uint64_t aside = more;

	anon_each_user(limits->anon, add_size, &aside);
	if (!size)
		return limits->resize(limits, KEEP_SOURCE, 0, 0);
	if (aside >= size)
		return -EBUSY;
	return limits->resize(limits, KEEP_SOURCE, 0, size - aside);
}

static int change_size(struct limits *limits, uint64_t size)
{
	int result = limits->anon->kind == ANON_TMPFS ? resize_rest(limits, size, 0) : -EOPNOTSUPP;

	if (result < 0)
		return result;
	JOURNAL_SET(store_journal(limits->store), in_force(limits)->size, size);
	limits->anon->size = size;
	return 0;
}

static int change_inodes(struct limits *limits, uint64_t inodes)
{
	if (inodes && store_inodes(limits->store) > inodes)
		return -EBUSY;
	JOURNAL_SET(store_journal(limits->store), in_force(limits)->inodes, inodes);
	store_limit_inodes(limits->store, inodes);
	return 0;
}

struct change {
	struct limits *limits;
	uint64_t size;
	uint64_t users;
};

static int check_user(uid_t uid, int folder, void *details)
{
	struct change *change = details;

	(void)uid;
	change->users++;
	return used_of(folder) > change->size ? -EBUSY : 0;
}

static int resize_user(uid_t uid, int folder, void *details)
{
	const struct change *change = details;

	(void)folder;
	return change->limits->resize(change->limits, KEEP_USER_SOURCE, uid, change->size);
}

/* All users, or none: who takes more between the two looks has the others go back. What they get
 * more is set aside before, what they give up is the others' after. */
static int change_user_size(struct limits *limits, uint64_t size)
{
	struct change change = {limits, size, 0};
	struct change back = {limits, in_force(limits)->user_size, 0};
	int result = anon_has_users(limits->anon) ? 0 : -EOPNOTSUPP;

	if (result == 0 && !size)
		result = -EINVAL;
	if (result == 0)
		result = anon_each_user(limits->anon, check_user, &change);
	if (result == 0 && size > back.size)
		result = resize_rest(limits, in_force(limits)->size,
		                     change.users * (size - back.size));
	if (result < 0)
		return result;
	result = anon_each_user(limits->anon, resize_user, &change);
	if (result < 0)
		anon_each_user(limits->anon, resize_user, &back);
	else
		JOURNAL_SET(store_journal(limits->store), in_force(limits)->user_size, size);
	resize_rest(limits, in_force(limits)->size, 0);
	return result;
}

static int change(struct limits *limits, uint32_t what, uint64_t value)
{
	switch (what) {
	case WIRE_LIMIT_SIZE: return change_size(limits, value);
	case WIRE_LIMIT_INODES: return change_inodes(limits, value);
	case WIRE_LIMIT_USER_SIZE: return change_user_size(limits, value);
	default: return -EINVAL;
	}
}

static void tell(const struct limits *limits, struct wire_limits *ret_limits)
{
	const struct journal_limits *now = in_force(limits);

	*ret_limits = (struct wire_limits){
		.size = now->size,
		.size_used = used_by_all(limits),
		.inodes = now->inodes,
		.inodes_used = store_inodes(limits->store),
		.user_size = now->user_size,
	};
}

int limit_change(struct limits *limits, uid_t uid, uint32_t what, uint64_t value,
                 struct wire_limits *ret_limits)
{
	int result = 0;

	if (what && uid != 0 && uid != geteuid())
		return -EPERM;
	if (what)
		result = value >> 60 ? -EINVAL : change(limits, what, value);
	/* Where there is a limit is told with each file. */
	if (result == 0 && what)
		store_change_marks(limits->store);
	if (result == 0)
		tell(limits, ret_limits);
	return result;
}

struct next_share {
	uid_t asker;
	uint64_t from;
	bool found;
	struct wire_share share;
};

static int find_next_share(uid_t uid, int folder, void *details)
{
	struct next_share *next = details;
	bool may_know = next->asker == 0 || next->asker == geteuid() || next->asker == uid;

	if (!may_know || uid < next->from || (next->found && uid > next->share.uid))
		return 0;
	next->found = true;
	next->share = (struct wire_share){
		.size = size_of(folder), .used = used_of(folder), .uid = uid,
	};
	return 0;
}

int limit_next_share(const struct limits *limits, uid_t uid, uint64_t from,
                     struct wire_share *ret_share)
{
	struct next_share next = {.asker = uid, .from = from};

	anon_each_user(limits->anon, find_next_share, &next);
	if (next.found)
		*ret_share = next.share;
	return next.found;
}

/* Its folder is all that there is: nobody has a file of it open. */
static bool is_empty(int folder)
{
	struct statvfs status;

	return fstatvfs(folder, &status) == 0 && status.f_files - status.f_ffree <= 1;
}

struct search {
	uid_t uid;
	bool found;
};

static int find_empty(uid_t uid, int folder, void *details)
{
	struct search *search = details;

	if (!is_empty(folder))
		return 0;
	*search = (struct search){uid, true};
	return 1;
}

static void take_back_empty(struct limits *limits)
{
	struct search search;

	do {
		search.found = false;
		anon_each_user(limits->anon, find_empty, &search);
		if (search.found) {
			anon_remove_user(limits->anon, search.uid);
			limits->drop(limits, search.uid);
		}
	} while (search.found);
}

int limit_share(struct limits *limits, uid_t uid)
{
	const struct journal_limits *now = in_force(limits);
	int result = now->size ? resize_rest(limits, now->size, now->user_size) : 0;
	int folder;

	if (result == -EBUSY) {
		take_back_empty(limits);
		result = resize_rest(limits, now->size, now->user_size);
	}
	if (result < 0)
		return result == -EBUSY ? -ENOSPC : result;
	folder = limits->mount(limits, uid, now->user_size);
	if (folder < 0 && now->size)
		resize_rest(limits, now->size, 0);
	return folder;
}

void limit_restore(const struct limits *limits)
{
	const struct journal_limits *now = in_force(limits);

	limits->anon->size = now->size;
	store_limit_inodes(limits->store, now->inodes);
}
