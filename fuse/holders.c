/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel grants a lease for writing (fcntl(2), F_SETLEASE) only on a file that nobody else has
 * open, and a mapping keeps its file open: so it tells by one call what would otherwise take a walk
 * through /proc, which shows only processes that we may look at. The keeper's descriptor is the
 * same open file description as ours and does not count. Opens through the mount without
 * passthrough are not the kernel's to see, but the store's. */
#include "fuse/holders.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fuse/creator.h"
#include "fuse/proc.h"
#include "fuse/store.h"

bool holders_any(struct store_node *node)
{
	int file = store_node_file(node);

	/* Of folders and their like nobody can tell. */
	if (store_node_opens(node) || file < 0 || !S_ISREG(store_node_type(node)))
		return true;
	if (fcntl(file, F_SETLEASE, F_WRLCK) < 0)
		return errno == EAGAIN;
	fcntl(file, F_SETLEASE, F_UNLCK);
	return false;
}

bool holders_creator_lives(struct store_node *node)
{
	struct store_creator creator;
	uint64_t start;

	store_node_creator(node, &creator);
	if (!creator.pid || !creator.start)
		return true;
	start = creator_start((pid_t)creator.pid);
	return start == creator.start;
}

bool holders_is_tracker(pid_t pid)
{
	static const char module[] = "multiprocessing.resource_tracker";
	char words[256];
	ssize_t size = proc_read(pid, "cmdline", words, sizeof words);

	return size > 0 && memmem(words, (size_t)size, module, strlen(module));
}
