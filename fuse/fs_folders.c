/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading folders. Nothing is kept between two reads: the offset says all. "." is at 0, ".." at
 * 1, and names follow by their cookies, the newest first, as on tmpfs: who reads on while they
 * come and go misses none that stays, sees none twice, and comes to an end, even if he makes a
 * new one for each that he reads. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuse/fs_i.h"

/* Offsets, each that of the next. */
enum { OFFSET_DOTS = 2 };

/* Not left to ENOSYS, for then the kernel would cache the folder. An open one keeps its node: when
 * it is removed it is there still, and empty. */
void fs_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct store *store = fs_of(req)->store;
	struct store_node *node = fs_node(req, ino);
	bool again = store_turn_is_again(store);

	if (!node || store_node_type(node) != S_IFDIR) {
		fuse_reply_err(req, node ? ENOTDIR : ESTALE);
		return;
	}
	store_node_open(store, node);
	/* See fs_open.c. */
	if (fuse_reply_open(req, info) < 0 && !again)
		store_node_close(store, store_node_find(store, ino));
}

void fs_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct fs *fs = fs_of(req);
	struct store_node *node = fs_node(req, ino);
	struct stat looked = fs_removed_look(node);

	(void)info;
	if (node && store_node_opens(node))
		store_node_close(fs->store, node);
	fs_removed_note(fs, &looked);
	fuse_reply_err(req, 0);
}

struct listing {
	fuse_req_t req;
	bool plus; /* with attributes */
	char *bytes;
	size_t size;
	size_t used;
};

static bool list_one(struct listing *listing, const char *name,
                     const struct fuse_entry_param *entry, off_t next)
{
	char *bytes = listing->bytes + listing->used;
	size_t left = listing->size - listing->used;
	size_t needed = listing->plus ?
	                fuse_add_direntry_plus(listing->req, bytes, left, name, entry, next) :
	                fuse_add_direntry(listing->req, bytes, left, name, &entry->attr, next);

	if (needed > left)
		return false;
	listing->used += needed;
	return true;
}

/* Without a node's number: the kernel looks none of these up by it. */
static bool list_dots(struct listing *listing, struct store_node *folder, off_t offset)
{
	struct fuse_entry_param dot = {.attr = {
		.st_ino = store_node_ino(folder),
		.st_mode = S_IFDIR,
	}};

	if (offset < 1 && !list_one(listing, ".", &dot, 1))
		return false;
	dot.attr.st_ino = store_node_ino(store_node_parent(folder));
	return offset >= OFFSET_DOTS || list_one(listing, "..", &dot, OFFSET_DOTS);
}

/* What can't be told of is left without a node: the kernel then asks. */
static struct fuse_entry_param describe(const struct listing *listing, struct store_node *node)
{
	struct fuse_entry_param entry = {.ino = 0};

	if (listing->plus && store_node_stat(node, &entry.attr) == 0)
		entry.ino = store_node_ino(node);
	entry.attr.st_ino = store_node_ino(node);
	entry.attr.st_mode = entry.ino ? entry.attr.st_mode : store_node_type(node);
	return entry;
}

static void list_names(struct listing *listing, struct store_node *folder, off_t offset)
{
	uint64_t cookie = offset > OFFSET_DOTS ? (uint64_t)(offset - OFFSET_DOTS) : 0;
	const struct store_entry *entry;

	while ((entry = store_entry_before_in(folder, cookie))) {
		struct fuse_entry_param param = describe(listing, store_entry_node(entry));

		cookie = store_entry_cookie(entry);
		if (!list_one(listing, store_entry_name(entry), &param,
		              (off_t)cookie + OFFSET_DOTS))
			return;
	}
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool plus)
{
	struct listing listing = {
		.req = req,
		.plus = plus,
		.bytes = malloc(size),
		.size = size,
	};
	struct store_node *folder;
	int result = listing.bytes ? fs_folder(fs_of(req), ino, &folder) : -ENOMEM;

	if (result == 0 && !store_node_parent(folder))
		result = -ENOENT;
	if (result < 0) {
		fuse_reply_err(req, -result);
		free(listing.bytes);
		return;
	}
	if (offset == 0)
		store_node_was_read(folder);
	if (list_dots(&listing, folder, offset))
		list_names(&listing, folder, offset);
	fuse_reply_buf(req, listing.bytes, listing.used);
	free(listing.bytes);
}

void fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                struct fuse_file_info *info)
{
	(void)info;
	list(req, ino, size, offset, false);
}

void fs_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *info)
{
	(void)info;
	list(req, ino, size, offset, true);
}
