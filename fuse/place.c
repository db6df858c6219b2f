/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files opened without us, by number: see base/marks.h. In the tmpfs a file's name is its number,
 * and it is there as long as a name of the store's leads to it. Elsewhere it is a descriptor's,
 * which is open as long: /proc opens it again for whoever could trace us. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "fuse/anon.h"
#include "fuse/marks.h"
#include "fuse/store_i.h"

enum { FLAG_NO_SYMLINKS = 0x2000 };

/* Whoever has the folder can put a link there, which we must not follow on his behalf. */
static bool follows_links(const struct anon *anon)
{
	struct statfs status;

	return fstatfs(anon->folder, &status) < 0 || !(status.f_flags & FLAG_NO_SYMLINKS);
}

/* Where nodes are in the same tmpfs, at "nodes/NAME", the root folder's is what a path to a file
 * begins at. So the kernel judges, as for any path, whether whoever goes it may search the root,
 * whose mode those who have it open change without us. */
static enum marks_road road_in(const struct anon *anon)
{
	struct stat folder, nodes;

	if (fstat(anon->folder, &folder) == 0 && fstat(anon->nodes, &nodes) == 0 &&
	    folder.st_dev == nodes.st_dev)
		return MARKS_BELOW_FOLDER;
	return MARKS_IN_FOLDER;
}

int store_have_marks(struct store *store, struct marks *marks)
{
	const struct anon *anon = store->anon;

	if (anon->kind == ANON_TMPFS && follows_links(anon))
		return -EOPNOTSUPP;
	marks->road = anon->kind == ANON_TMPFS ? road_in(anon) : MARKS_BY_DESCRIPTOR;
	store->marks = marks;
	return 0;
}

void store_change_marks(struct store *store)
{
	if (store->marks)
		marks_change_all(store->marks);
}

int store_open_place(struct store *store)
{
	int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	struct node_name name = node_name_of(record_of(store_root(store)));
	int folder;

	store_root(store)->lent |= store->marks->road != MARKS_IN_FOLDER;
	if (store->marks->road == MARKS_IN_FOLDER)
		folder = openat(store->anon->folder, ".", flags);
	else
		folder = openat(store->anon->nodes, name.text, flags);
	return folder < 0 ? -errno : folder;
}

bool store_has_numbers(const struct store *store, uid_t uid)
{
	return store->marks && store->marks->road != MARKS_BY_DESCRIPTOR &&
	       !anon_has_share(store->anon, uid);
}

uint64_t store_number(struct store *store, const char *name)
{
	const struct store_entry *entry = NULL;
	const struct store_node *node;

	if (store->marks)
		entry = entry_find(store, store_root(store), name);
	if (!entry || record_of(entry->node)->kind != JOURNAL_REGULAR)
		return 0;
	node = entry->node;
	if (store->marks->road == MARKS_BY_DESCRIPTOR)
		return node->pinned && node->file > 0 ? (uint64_t)node->file : 0;
	/* In a share of a user's it is in another tmpfs. */
	return anon_has_share(store->anon, record_of(node)->creator_uid) ? 0 : node->ino;
}
