/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Folders: where they are in the tree. */
#include <errno.h>
#include <string.h>

#include "fuse/store_i.h"

struct store_node *store_node_parent(const struct store_node *node)
{
	return node->folder ? node->folder->parent : NULL;
}

uint64_t store_node_secret(const struct store_node *node)
{
	return record_of(node)->secret;
}

bool folder_is_below(const struct store_node *folder, const struct store_node *node)
{
	while (folder && folder != node && folder->ino != STORE_ROOT_INO)
		folder = folder->folder->parent;
	return folder == node;
}

/* Written from its end. */
ssize_t store_node_path(const struct store_node *node, char *path, size_t room)
{
	size_t at = room;

	if (!node->folder || !room)
		return -EINVAL;
	path[--at] = '\0';
	while (node->ino != STORE_ROOT_INO) {
		const struct store_entry *entry = node->folder->entry;
		size_t length = entry ? strlen(entry->name) : 0;
		bool separate = at + 1 < room;

		if (!entry)
			return -ENOENT;
		if (length + separate > at)
			return -ENAMETOOLONG;
		if (separate)
			path[--at] = '/';
		at -= length;
		memcpy(path + at, entry->name, length);
		node = entry->folder;
	}
	memmove(path, path + at, room - at);
	return (ssize_t)(room - at - 1);
}
