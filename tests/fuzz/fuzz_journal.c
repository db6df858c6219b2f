/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Journals that no worker of ours has written: each is refused or taken over, and what is taken
 * over can be walked through and changed. The input is a byte, a header, inodes and names; the byte
 * says how many inodes. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuse/anon.h"
#include "fuse/journal.h"
#include "fuse/store.h"
#include "tests/scratch.h"

enum { COUNT = 512, COUNT_MAX_HERE = 2048, STEPS_MAX = 300 };

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
	inodes -= inodes % sizeof(struct journal_inode);
	put(file, data, inodes, inodes_at);
	put(file, data + inodes, size - inodes, entries_at);
	return file;
}

/* The files that the keeper would have: not all. */
static void put_back(struct store_node *node, void *details)
{
	uint64_t ino = store_node_ino(node);

	if (ino % 8 && S_ISREG(store_node_type(node)))
		store_restore_file(details, ino, memfd_create("file", MFD_CLOEXEC));
}

static void look_at(struct store *store)
{
	const struct store_entry *entry;
	struct stat status;
	uint64_t cookie = 0;
	char path[4096];

	while ((entry = store_entry_after(store, cookie))) {
		struct store_node *node = store_entry_node(entry);
		struct store_node *folder = store_entry_folder(entry);

		cookie = store_entry_cookie(entry);
		store_node_stat(node, &status);
		store_node_readlink(node, path, sizeof path);
		if (store_lookup(store, folder, store_entry_name(entry)) == NULL ||
		    store_entry_after_in(folder, cookie - 1) != entry)
			abort();
		if (S_ISDIR(store_node_type(node)) && store_node_parent(node) != folder)
			abort();
		if (store_node_path(folder, path, sizeof path) == -ENOENT)
			abort();
	}
}

static struct store_node *any_folder(struct store *store, uint64_t cookie)
{
	const struct store_entry *entry = store_entry_after(store, cookie);

	if (entry && S_ISDIR(store_node_type(store_entry_node(entry))))
		return store_entry_node(entry);
	return entry ? store_entry_folder(entry) : store_root(store);
}

/* Moves each name, makes one beside it, or removes it. */
static void change(struct store *store)
{
	struct store_actor self = {.uid = geteuid(), .gid = getegid()};
	struct store_birth birth = {.mode = S_IFDIR | 0700, .uid = self.uid, .gid = self.gid};
	uint64_t cookie = 0;

	for (unsigned i = 0; i < STEPS_MAX; i++) {
		const struct store_entry *entry = store_entry_after(store, cookie);
		struct store_node *node;
		char name[WIRE_NAME_SIZE];
		struct store_node *folder;

		if (!entry)
			return;
		cookie = store_entry_cookie(entry);
		folder = store_entry_folder(entry);
		strcpy(name, store_entry_name(entry));
		store_turn_begin(store, 1, i);
		if (i % 4 == 0)
			store_rename(store, folder, name, any_folder(store, cookie), "moved",
			             i % 3 ? 0 : 1 << i % 3, &self);
		else if (i % 4 == 1)
			store_create(store, any_folder(store, cookie), "new", &birth, &node);
		else if (i % 4 == 2)
			store_link(store, store_entry_node(entry), store_root(store), "link");
		else
			store_unlink(store, folder, name);
		store_turn_end(store);
	}
}

static void use(struct store *store)
{
	store_nodes_each(store, put_back, store);
	store_restore_end(store);
	look_at(store);
	change(store);
	look_at(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store *store;
	int file;

	if (!anon.kind && anon_init(&anon, ANON_MEMFD, NULL, NULL, scratch_make().folder) < 0)
		abort();
	if (size < 1)
		return 0;
	file = make_journal(data + 1, size - 1, data[0] * sizeof(struct journal_inode));
	if (store_new(&store, file, &anon, NULL) < 0)
		return 0;
	use(store);
	store_discard(store);
	store_free(store);
	return 0;
}
