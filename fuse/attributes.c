/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is said of a node: modes, owners, times, sizes and extended attributes. Its kernel object
 * has them all; nobody's rights are judged here. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fuse/anon.h"
#include "fuse/extent.h"
#include "fuse/store_i.h"

/* Where the object of a special node is to be found. What is open may be open as a path only, and
 * then there is no changing it by descriptor; its name may be gone. */
struct place {
	int folder;
	char path[64];
};

static struct place place_of(const struct store_node *node)
{
	struct place place = {.folder = AT_FDCWD};
	struct node_name name;

	if (node->file >= 0) {
		snprintf(place.path, sizeof place.path, "/proc/self/fd/%d", node->file);
		return place;
	}
	name = node_name_of(record_of(node));
	place.folder = node->store->anon->nodes;
	memcpy(place.path, name.text, sizeof name.text);
	return place;
}

int folder_rights(struct store_node *folder, struct stat *ret_status)
{
	int result = 0;

	if (folder->shown || folder->lent || !folder->has_rights)
		result = store_node_stat(folder, ret_status);
	else
		*ret_status = (struct stat){
			.st_mode = folder->mode,
			.st_uid = folder->uid,
			.st_gid = folder->gid,
		};
	if (result < 0)
		return result;
	folder->mode = ret_status->st_mode;
	folder->uid = ret_status->st_uid;
	folder->gid = ret_status->st_gid;
	folder->has_rights = true;
	return 0;
}

int store_node_chmod(struct store_node *node, mode_t mode)
{
	struct place place;
	int file;

	node->has_rights = false;

	if (record_of(node)->kind == JOURNAL_LINK)
		return -EOPNOTSUPP;
	if (node_is_special(node)) {
		place = place_of(node);
		return fchmodat(place.folder, place.path, mode & 07777, 0) < 0 ? -errno : 0;
	}
	file = store_node_file(node);
	if (file < 0)
		return file;
	return fchmod(file, mode & 07777) < 0 ? -errno : 0;
}

int store_node_chown(struct store_node *node, uid_t uid, gid_t gid)
{
	struct place place;
	int file;

	node->has_rights = false;

	if (node_is_special(node)) {
		place = place_of(node);
		return fchownat(place.folder, place.path, uid, gid, 0) < 0 ? -errno : 0;
	}
	file = store_node_file(node);
	if (file < 0)
		return file;
	return fchown(file, uid, gid) < 0 ? -errno : 0;
}

/* Not all kernels do it with a descriptor that is a path. */
static bool set_root_times(const struct store_node *node, const struct timespec times[2])
{
	return node->ino == STORE_ROOT_INO &&
	       utimensat(node->store->root, "", times, AT_EMPTY_PATH) == 0;
}

int store_node_set_times(struct store_node *node, const struct timespec times[2])
{
	struct place place;
	int file;

	if (set_root_times(node, times))
		return 0;
	if (node_is_special(node)) {
		place = place_of(node);
		return utimensat(place.folder, place.path, times, 0) < 0 ? -errno : 0;
	}
	file = store_node_file(node);
	if (file < 0)
		return file;
	return futimens(file, times) < 0 ? -errno : 0;
}

void store_node_was_read(struct store_node *node)
{
	char nothing[256];
	int file = store_node_file(node);

	if (file >= 0 && lseek(file, 0, SEEK_SET) == 0)
		syscall(SYS_getdents64, file, nothing, sizeof nothing);
}

/* To set a time sets ctime. Not mtime, to what it was: somebody may be writing. */
void node_touch(struct store_node *node)
{
	struct timespec times[2] = {{.tv_nsec = 0}, {.tv_nsec = UTIME_OMIT}};
	struct stat status;

	if (store_node_stat_file(node, &status) < 0)
		return;
	times[0] = status.st_atim;
	store_node_set_times(node, times);
}

static void set_changed(struct store_node *folder)
{
	static const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};

	store_node_set_times(folder, times);
}

void store_pay_times(struct store *store)
{
	uint64_t ino = store->journal.header->turn.folder_owed;
	struct store_node *folder = ino ? store_node_find(store, ino) : NULL;

	if (folder && folder->folder)
		set_changed(folder);
	if (ino)
		JOURNAL_SET(&store->journal, store->journal.header->turn.folder_owed, 0);
}

void folder_changed(struct store_node *folder)
{
	const struct store *store = folder->store;

	if (store->may_owe && !folder->shown)
		JOURNAL_SET(&store->journal, store->journal.header->turn.folder_owed, folder->ino);
	else
		set_changed(folder);
	if (store->changed)
		store->changed(store->changed_details, folder->ino);
}

void store_watch(struct store *store, void (*changed)(void *details, uint64_t ino), void *details)
{
	store->changed = changed;
	store->changed_details = details;
}

/* A user's own files are in a tmpfs of that user's: what is full then is that user's share. */
static int full(const struct store_node *node)
{
	return anon_has_share(node->store->anon, record_of(node)->creator_uid) ? -EDQUOT : -ENOSPC;
}

static int result_of(const struct store_node *node, int result)
{
	return result == -ENOSPC ? full(node) : result;
}

int store_node_allocate(struct store_node *node, int mode, off_t offset, off_t length)
{
	int file = store_node_file(node);

	return file < 0 ? file : result_of(node, extent_allocate(file, mode, offset, length));
}

/* Where space is limited it is asked for now: later it would be a SIGBUS. */
int store_node_resize(struct store_node *node, off_t size)
{
	int file = store_node_file(node);
	struct stat status;

	if (file < 0)
		return file;
	if (size < 0 || !anon_is_limited(node->store->anon, record_of(node)->creator_uid))
		return extent_set_size(file, size);
	if (fstat(file, &status) < 0)
		return -errno;
	if (size > status.st_size)
		return result_of(node, extent_allocate(file, 0, status.st_size,
		                                       size - status.st_size));
	return extent_set_size(file, size);
}

ssize_t store_node_readlink(struct store_node *node, char *text, size_t room)
{
	ssize_t length;
	int file;

	if (record_of(node)->kind != JOURNAL_LINK)
		return -EINVAL;
	file = store_node_file(node);
	if (file < 0)
		return file;
	length = pread(file, text, room, 0);
	return length < 0 ? -errno : length;
}

/* By a path that leads to the kernel object whatever it is. */
struct object_path {
	char text[128];
};

static int path_of(struct store_node *node, struct object_path *ret_path)
{
	struct node_name name;
	int file;

	if (node_is_special(node) && node->file < 0) {
		name = node_name_of(record_of(node));
		snprintf(ret_path->text, sizeof ret_path->text, "/proc/self/fd/%d/%s",
		         node->store->anon->nodes, name.text);
		return 0;
	}
	file = store_node_file(node);
	if (file < 0)
		return file;
	snprintf(ret_path->text, sizeof ret_path->text, "/proc/self/fd/%d", file);
	return 0;
}

static bool begins_with(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* User attributes are for files and folders (xattr(7)); the kernel object may be another kind. */
static int check_attribute(const struct store_node *node, const char *name, bool writes)
{
	uint32_t kind = record_of(node)->kind;

	if (begins_with(name, "user."))
		return kind == JOURNAL_REGULAR || kind == JOURNAL_FOLDER ? 0 :
		       writes ? -EPERM : -ENODATA;
	return begins_with(name, "trusted.") || begins_with(name, "security.") ? 0 : -EOPNOTSUPP;
}

/* The path by which an attribute may be asked for, or written. */
static int path_of_attribute(struct store_node *node, const char *name, bool writes,
                             struct object_path *ret_path)
{
	int result = check_attribute(node, name, writes);

	return result < 0 ? result : path_of(node, ret_path);
}

int store_node_xattr_set(struct store_node *node, const char *name, const void *value, size_t size,
                         int flags)
{
	struct object_path path;
	int result = path_of_attribute(node, name, true, &path);

	if (result < 0)
		return result;
	result = setxattr(path.text, name, value, size, flags) < 0 ? -errno : 0;
	return result_of(node, result);
}

ssize_t store_node_xattr_get(struct store_node *node, const char *name, void *value, size_t size)
{
	struct object_path path;
	ssize_t result = path_of_attribute(node, name, false, &path);

	if (result < 0)
		return result;
	result = getxattr(path.text, name, value, size);
	return result < 0 ? -errno : result;
}

ssize_t store_node_xattr_list(struct store_node *node, char *list, size_t size)
{
	struct object_path path;
	ssize_t result = path_of(node, &path);

	if (result < 0)
		return result;
	result = listxattr(path.text, list, size);
	return result < 0 ? -errno : result;
}

int store_node_xattr_remove(struct store_node *node, const char *name)
{
	struct object_path path;
	int result = path_of_attribute(node, name, true, &path);

	if (result < 0)
		return result;
	return removexattr(path.text, name) < 0 ? -errno : 0;
}

int store_node_born(struct store_node *node, struct timespec *ret_time)
{
	struct object_path path;
	struct statx told;
	int result = path_of(node, &path);

	if (result < 0)
		return result;
	if (statx(AT_FDCWD, path.text, 0, STATX_BTIME, &told) < 0)
		return -errno;
	if (!(told.stx_mask & STATX_BTIME))
		return -EOPNOTSUPP;
	ret_time->tv_sec = told.stx_btime.tv_sec;
	ret_time->tv_nsec = told.stx_btime.tv_nsec;
	return 0;
}
