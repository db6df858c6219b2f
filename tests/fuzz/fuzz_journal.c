/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Journals that no worker of ours has written: each is refused or taken over, and what is taken
 * over can be walked through and changed. The first byte says how much of the rest is inodes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuse/anon.h"
#include "fuse/journal.h"
#include "fuse/store.h"

enum { COUNT = 512, COUNT_MAX_HERE = 2048, SCALE = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct anon anon;

static void put(int file, const void *bytes, size_t size, uint64_t offset)
{
	if (size && pwrite(file, bytes, size, (off_t)offset) != (ssize_t)size)
		abort();
}

/* A whole journal of our own, for its layout, over which the input is laid. */
static int make_journal(const uint8_t *data, size_t size, size_t inodes)
{
	int file = memfd_create("journal", MFD_CLOEXEC);
	struct journal journal;
	struct journal_header header;
	uint64_t inodes_at, entries_at;
	size_t header_size = size < sizeof header ? size : sizeof header;

	if (journal_init(&journal, dup(file)) < 0)
		abort();
	inodes_at = journal.inodes.offset;
	entries_at = journal.entries.offset;
	header = *journal.header;
	journal_deinit(&journal);
	/* The magic stays, or nothing else would ever be looked at. */
	if (header_size > 8)
		memcpy((char *)&header + 8, data + 8, header_size - 8);
	/* Room is asked for at once, by the gigabyte: that is not what is tested. */
	header.inode_count = COUNT + header.inode_count % COUNT_MAX_HERE;
	header.entry_count = COUNT + header.entry_count % COUNT_MAX_HERE;
	put(file, &header, sizeof header, 0);
	data += header_size;
	size -= header_size;
	if (inodes > size)
		inodes = size;
	put(file, data, inodes, inodes_at);
	put(file, data + inodes, size - inodes, entries_at);
	return file;
}

static void use(struct store *store)
{
	struct store_birth birth = {.mode = 0600, .uid = geteuid(), .gid = getegid()};
	const struct store_entry *entry;
	struct store_node *node;
	struct stat status;
	uint64_t cookie = 0;

	store_restore_end(store);
	while ((entry = store_entry_after(store, cookie))) {
		cookie = store_entry_cookie(entry);
		store_node_stat(store_entry_node(entry), &status);
	}
	store_turn_begin(store, 1, 1);
	if (store_create(store, "new", &birth, &node) == 0)
		store_node_open(store, node);
	store_unlink(store, "new");
	store_turn_end(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store *store;

	if (!anon.kind && anon_init(&anon, ANON_MEMFD, NULL, 0) < 0)
		abort();
	if (size < 1)
		return 0;
	if (store_new(&store, make_journal(data + 1, size - 1, (size_t)data[0] * SCALE), &anon,
	              NULL) < 0)
		return 0;
	use(store);
	store_free(store);
	return 0;
}
