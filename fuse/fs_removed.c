/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes may have their working folder in one that is removed, or a fifo open, or anything by
 * O_PATH. The kernel does not count these as opens, so the store knows them no more; but it asks
 * for their attributes, of a folder with every path that begins there, and only then says that it
 * is a dead one. The last few removed are remembered for this. A worker that was killed has
 * forgotten them: ESTALE then. */
#include <errno.h>

#include "fuse/fs_i.h"

struct stat fs_removed_look(const struct store_node *node)
{
	struct stat status = {.st_ino = 0};

	if (node && store_node_holds(node) <= 1)
		store_node_stat(node, &status);
	return status;
}

void fs_removed_note(struct fs *fs, const struct stat *looked)
{
	struct removed *removed = &fs->removed;
	struct stat *place = &removed->places[removed->next % REMOVED_MAX];

	/* Or it is there still, by another name or as an open file. */
	if (!looked->st_ino || store_node_find(fs->store, looked->st_ino))
		return;
	removed->next++;
	*place = *looked;
	place->st_nlink = 0;
	clock_gettime(CLOCK_REALTIME_COARSE, &place->st_ctim);
}

int fs_removed_stat(const struct removed *removed, fuse_ino_t ino, struct stat *ret_status)
{
	for (unsigned i = 0; i < REMOVED_MAX; i++) {
		if (removed->places[i].st_ino != ino || !ino)
			continue;
		*ret_status = removed->places[i];
		return 0;
	}
	return -ESTALE;
}
