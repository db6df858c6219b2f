/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel grants a lease for writing (fcntl(2), F_SETLEASE) only on a file that nobody else has
 * open, and a mapping keeps its file open: so it tells by one call what would otherwise take a walk
 * through /proc, which shows only processes that we may look at. The keeper's descriptor is the
 * same open file description as ours and does not count. Opens through the mount without
 * passthrough are not the kernel's to see, but the store's.
 *
 * The asker's own does not count either, but as one of those for writing, and a memfd's first one
 * was never counted: by that, one program that writes would pass for us, and none for somebody. A
 * memfd is asked about by another descriptor; for reading, since the kernel executes nothing that
 * somebody has open for writing. */
#include "fuse/holders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "fuse/creator.h"
#include "fuse/proc.h"
#include "fuse/store.h"

static bool has_others(int file)
{
	if (fcntl(file, F_SETLEASE, F_WRLCK) < 0)
		return errno == EAGAIN;
	fcntl(file, F_SETLEASE, F_UNLCK);
	return false;
}

bool holders_any(struct store_node *node)
{
	int file = store_node_file(node);
	OWN_FD own = -1;
	char path[64];

	/* Of folders and their like nobody can tell. */
	if (store_node_opens(node) || file < 0 || !S_ISREG(store_node_type(node)))
		return true;
	if (!store_node_is_memfd(node))
		return has_others(file);
	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	own = open(path, O_RDONLY | O_CLOEXEC);
	return own < 0 || has_others(own);
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
