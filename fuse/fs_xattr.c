/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Extended attributes. Who may the kernel judges, but for what is listed. */
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <linux/limits.h>
#include <sys/xattr.h>

#include "fuse/fs_i.h"
#include "fuse/journal.h"
#include "fuse/judge.h"

/* Access control lists (system.posix_acl_access), for one, are not. */
static bool is_kept(const char *name)
{
	static const char *const kinds[] = {"user.", "trusted.", "security."};

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strncmp(name, kinds[i], strlen(kinds[i])) == 0)
			return true;
	return false;
}

enum { WAS_NOT_THERE, WAS_THERE };

/* Whether it was there before this request, which is known after a kill too. */
static bool was_there(struct store *store, struct store_node *node, const char *name)
{
	const uint64_t *noted = &store_journal(store)->header->turn.append_at;

	if (*noted == UINT64_MAX)
		JOURNAL_SET(store_journal(store), *noted,
		            store_node_xattr_get(node, name, NULL, 0) < 0 ? WAS_NOT_THERE :
		                                                            WAS_THERE);
	return *noted == WAS_THERE;
}

struct change {
	const char *name;
	const void *value; /* NULL: it is to go */
	size_t size;
	int flags;
};

static int make_change(struct store *store, struct store_node *node, const struct change *change)
{
	bool there = was_there(store, node, change->name);
	int result;

	if (change->value && there && (change->flags & XATTR_CREATE))
		return -EEXIST;
	if (change->value && !there && (change->flags & XATTR_REPLACE))
		return -ENODATA;
	if (change->value)
		return store_node_xattr_set(node, change->name, change->value, change->size, 0);
	result = store_node_xattr_remove(node, change->name);
	return result == -ENODATA && there ? 0 : result;
}

static void change_once(fuse_req_t req, fuse_ino_t ino, const struct change *change)
{
	struct store *store = fs_of(req)->store;
	struct store_node *node = fs_node(req, ino);
	int64_t result = node ? 0 : -ESTALE;

	if (node && !is_kept(change->name))
		result = -EOPNOTSUPP;
	if (result == 0 && !store_turn_done(store, &result)) {
		result = make_change(store, node, change);
		store_turn_did(store, result);
	}
	fs_reply_result(req, (int)result);
}

void fs_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
                 int flags)
{
	struct change change = {name, value, size, flags};

	change_once(req, ino, &change);
}

void fs_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct change change = {.name = name};

	change_once(req, ino, &change);
}

/* Names that not everybody is to see go; returns what is left of the list. */
static size_t hide_trusted(char *list, size_t size)
{
	size_t kept = 0;

	for (size_t at = 0, length; at < size; at += length) {
		length = strnlen(list + at, size - at - 1) + 1;
		if (strncmp(list + at, "trusted.", strlen("trusted.")) == 0)
			continue;
		memmove(list + kept, list + at, length);
		kept += length;
	}
	return kept;
}

static ssize_t list(fuse_req_t req, struct store_node *node, char *bytes, size_t room)
{
	struct store_actor asker = fs_asker(fs_of(req));
	ssize_t size = store_node_xattr_list(node, bytes, room);

	if (size > 0 && !judge_has_capability(&asker, CAP_SYS_ADMIN))
		return (ssize_t)hide_trusted(bytes, (size_t)size);
	return size;
}

/* `wanted` 0 asks for the size alone. */
static void reply_bytes(fuse_req_t req, const char *bytes, ssize_t size, size_t wanted)
{
	if (size < 0)
		fuse_reply_err(req, (int)-size);
	else if (!wanted)
		fuse_reply_xattr(req, (size_t)size);
	else if ((size_t)size > wanted)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, bytes, (size_t)size);
}

/* All there is, as long as the kernel takes it at all, since some of it may be hidden. */
void fs_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct store_node *node = fs_node(req, ino);
	char *bytes = malloc(XATTR_LIST_MAX);
	ssize_t used = node ? -ENOMEM : -ESTALE;

	if (node && bytes)
		used = list(req, node, bytes, XATTR_LIST_MAX);
	reply_bytes(req, bytes, used, size);
	free(bytes);
}

void fs_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct store_node *node = fs_node(req, ino);
	char *bytes = size ? malloc(size) : NULL;
	ssize_t used = node ? 0 : -ESTALE;

	if (node && !is_kept(name))
		used = -EOPNOTSUPP;
	else if (size && !bytes)
		used = -ENOMEM;
	if (used == 0)
		used = store_node_xattr_get(node, name, bytes, size);
	reply_bytes(req, bytes, used, size);
	free(bytes);
}
