/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stat, chmod, chown, truncate, utimes and statfs ask. The file behind a node has it all; the
 * kernel judges who may (default_permissions), and keeps little of it: see fs_told.c. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/name.h"
#include "fuse/fs_i.h"
#include "fuse/judge.h"

int fs_stat(const struct fs *fs, fuse_ino_t ino, struct stat *ret_status)
{
	struct store_node *node = store_node_find(fs->store, ino);

	return node ? store_node_stat(node, ret_status)
	            : fs_removed_stat(&fs->removed, ino, ret_status);
}

void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct stat status;
	int result = fs_stat(fs_of(req), ino, &status);

	(void)info;
	if (result < 0)
		fuse_reply_err(req, -result);
	else
		fuse_reply_attr(req, &status, fs_attributes_kept(fs_of(req), &status));
}

void fs_strip_set_id(const struct fs *fs, int file)
{
	struct store_actor asker = fs_asker(fs);
	struct stat status;

	if (fs->request.strips ||
	    (!fs->channel.strips && fs->request.operation != CHANNEL_WRITE &&
	     fstat(file, &status) == 0 && (status.st_mode & (S_ISUID | S_ISGID)) &&
	     !judge_has_capability(&asker, CAP_FSETID)))
		store_strip_set_id(&asker, file);
}

static struct timespec time_to_set(int which, int set, int set_now, const struct timespec *wanted)
{
	if (which & set_now)
		return (struct timespec){.tv_nsec = UTIME_NOW};
	if (which & set)
		return *wanted;
	return (struct timespec){.tv_nsec = UTIME_OMIT};
}

static int set_times(struct store_node *node, const struct stat *wanted, int which)
{
	struct timespec times[] = {
		time_to_set(which, FUSE_SET_ATTR_ATIME, FUSE_SET_ATTR_ATIME_NOW, &wanted->st_atim),
		time_to_set(which, FUSE_SET_ATTR_MTIME, FUSE_SET_ATTR_MTIME_NOW, &wanted->st_mtim),
	};

	return store_node_set_times(node, times);
}

/* truncate(2) to the size that there is changes nothing of a file without memory, where
 * ftruncate(2) sets its times. */
static bool truncates_nothing(const struct stat *status, off_t size)
{
	return status->st_size == size && status->st_blocks == 0;
}

static int set_size(struct fs *fs, struct store_node *node, off_t size, bool by_path)
{
	struct stat status;
	int file = store_node_file(node);
	int result;

	if (file < 0)
		return file;
	fs_strip_set_id(fs, file);
	result = store_node_stat(node, &status);
	if (result == 0 && by_path && truncates_nothing(&status, size))
		return 0;
	return result < 0 ? result : store_node_resize(node, size);
}

/* chown(2) of neither, by anybody, takes set-id bits away; who else writes to a file does as well,
 * and has it open. */
static bool may_strip(const struct store_actor *asker, const struct store_node *node,
                      const struct stat *status)
{
	bool strips = !S_ISDIR(status->st_mode) && (status->st_mode & (S_ISUID | S_ISGID));

	return !strips || store_node_opens(node) || judge_is_owner(asker, status);
}

/* To change the owner takes set-id bits away from all but folders. The store does as it would be
 * done to itself, who may keep set-group-id where it stands for no right to execute. */
static int set_owner(struct fs *fs, struct store_node *node, uid_t uid, gid_t gid)
{
	struct store_actor asker = fs_asker(fs);
	struct stat before = {.st_mode = 0};
	int result = store_node_stat(node, &before);
	bool nothing = uid == (uid_t)-1 && gid == (gid_t)-1;
	bool keeps = (before.st_mode & (S_ISGID | S_IXGRP)) != S_ISGID || S_ISDIR(before.st_mode);

	if (result == 0 && nothing && !may_strip(&asker, node, &before))
		result = -EPERM;
	if (result == 0)
		result = store_node_chown(node, uid, gid);
	if (result < 0 || keeps || judge_in_group(&asker, before.st_gid) ||
	    judge_has_capability(&asker, CAP_FSETID))
		return result;
	return store_node_chmod(node, before.st_mode & 07777 & ~(mode_t)(S_ISUID | S_ISGID));
}

enum {
	SET_OWNER = FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID,
	SET_TIMES = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME |
	            FUSE_SET_ATTR_MTIME_NOW,
};

/* chown takes set-id bits away, so the mode comes after it; truncate sets a time, so times come
 * last. To set nothing is chown(2) of neither, or a write that is passed through and takes set-id
 * bits away, which is the same. */
static int set_attributes(struct fs *fs, struct store_node *node, const struct stat *wanted,
                          int which, bool by_path)
{
	uid_t uid = which & FUSE_SET_ATTR_UID ? wanted->st_uid : (uid_t)-1;
	gid_t gid = which & FUSE_SET_ATTR_GID ? wanted->st_gid : (gid_t)-1;
	int result = 0;

	if ((which & SET_OWNER) || !which)
		result = set_owner(fs, node, uid, gid);
	if (result == 0 && (which & FUSE_SET_ATTR_MODE))
		result = store_node_chmod(node, wanted->st_mode & 07777);
	if (result == 0 && (which & FUSE_SET_ATTR_SIZE))
		result = set_size(fs, node, wanted->st_size, by_path);
	if (result == 0 && (which & SET_TIMES))
		result = set_times(node, wanted, which);
	return result;
}

/* Valid for no time even of the root folder, since kernels before 6.16 would believe this and not
 * what they were told meanwhile. */
static void reply_set(fuse_req_t req, fuse_ino_t ino)
{
	struct stat status;
	int result = fs_stat(fs_of(req), ino, &status);

	if (result < 0)
		fuse_reply_err(req, -result);
	else
		fuse_reply_attr(req, &status, 0);
}

void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *wanted, int which,
                struct fuse_file_info *info)
{
	struct fs *fs = fs_of(req);
	struct store_node *node = fs_node(req, ino);
	int64_t result = -ESTALE;

	if (node && !store_turn_done(fs->store, &result)) {
		result = set_attributes(fs, node, wanted, which, !info);
		store_turn_did(fs->store, result);
	}
	if (result < 0)
		fuse_reply_err(req, (int)-result);
	else
		reply_set(req, ino);
}

/* When it was made only the file knows: ENOSYS, and the kernel does without from then on. */
void fs_statx(struct fs *fs)
{
	struct store_node *node = store_node_find(fs->store, fs->request.node);
	char answer[CHANNEL_STATX_SIZE];
	struct timespec born = {.tv_sec = 0};
	struct stat status;
	int result = fs_stat(fs, fs->request.node, &status);

	if (result == 0 && node && store_node_born(node, &born) < 0)
		result = -ENOSYS;
	if (result < 0) {
		channel_refuse(&fs->channel, fs->request.unique, -result);
		return;
	}
	channel_encode_statx(&status, &born, answer);
	channel_answer(&fs->channel, fs->request.unique, answer, sizeof answer);
}

/* Programs decide by this whether a segment will fit. */
void fs_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct fs *fs = fs_of(req);
	struct statvfs status = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = NAME_LENGTH_MAX};
	uint64_t limit = store_inodes_limit(fs->store);
	uint64_t used = store_inodes(fs->store);
	uint64_t total, available;
	int result = store_room(fs->store, fuse_req_ctx(req)->uid, &total, &available);

	(void)ino;
	if (result < 0) {
		fuse_reply_err(req, -result);
		return;
	}
	status.f_blocks = total / status.f_frsize;
	status.f_bfree = available / status.f_frsize;
	status.f_bavail = status.f_bfree;
	status.f_ffree = status.f_bfree;
	if (limit)
		status.f_ffree = limit > used ? limit - used : 0;
	status.f_favail = status.f_ffree;
	status.f_files = limit ? limit : used + status.f_ffree;
	fuse_reply_statfs(req, &status);
}
