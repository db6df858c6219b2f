/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stat, chmod, chown, truncate, utimes and statfs ask. The anonymous file has it all; the
 * kernel judges who may (default_permissions), and but for the folder asks again each time. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/name.h"
#include "fuse/fs_i.h"

enum { ROOT_VALID_SECONDS = 3600 };

static void stat_root(const struct fs *fs, struct stat *ret_status)
{
	*ret_status = (struct stat){
		.st_ino = STORE_ROOT_INO,
		.st_mode = S_IFDIR | S_ISVTX | 0777,
		.st_nlink = 2,
		.st_uid = geteuid(),
		.st_gid = getegid(),
		.st_blksize = 4096,
		.st_atim = fs->born,
		.st_mtim = fs->born,
		.st_ctim = fs->born,
	};
}

int fs_stat(const struct fs *fs, fuse_ino_t ino, struct stat *ret_status)
{
	struct store_node *node;

	if (ino == STORE_ROOT_INO) {
		stat_root(fs, ret_status);
		return 0;
	}
	node = store_node_find(fs->store, ino);
	return node ? store_node_stat(node, ret_status) : -ESTALE;
}

/* The folder's attributes never change, and the kernel wants them for each path it walks: asked
 * each time they were five requests of the thirteen in a file's life. A file's change by the socket
 * door. */
static double validity(fuse_ino_t ino)
{
	return ino == STORE_ROOT_INO ? ROOT_VALID_SECONDS : 0;
}

void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct stat status;
	int result = fs_stat(fs_of(req), ino, &status);

	(void)info;
	if (result < 0)
		fuse_reply_err(req, -result);
	else
		fuse_reply_attr(req, &status, validity(ino));
}

/* The kernel's test is for CAP_FSETID, which we can't see in the request. */
void fs_strip_set_id(fuse_req_t req, int file)
{
	if (fuse_req_ctx(req)->uid != 0)
		store_strip_set_id(file);
}

static struct timespec time_to_set(int which, int set, int set_now, const struct timespec *wanted)
{
	if (which & set_now)
		return (struct timespec){.tv_nsec = UTIME_NOW};
	if (which & set)
		return *wanted;
	return (struct timespec){.tv_nsec = UTIME_OMIT};
}

static int set_times(int file, const struct stat *wanted, int which)
{
	struct timespec times[] = {
		time_to_set(which, FUSE_SET_ATTR_ATIME, FUSE_SET_ATTR_ATIME_NOW, &wanted->st_atim),
		time_to_set(which, FUSE_SET_ATTR_MTIME, FUSE_SET_ATTR_MTIME_NOW, &wanted->st_mtim),
	};

	return futimens(file, times) < 0 ? -errno : 0;
}

enum {
	SET_OWNER = FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID,
	SET_TIMES = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME |
	            FUSE_SET_ATTR_MTIME_NOW,
};

/* chown takes set-id bits away, so the mode comes after it; truncate sets a time, so times come
 * last. */
static int set_attributes(struct store_node *node, const struct stat *wanted, int which)
{
	int file = store_node_file(node);
	uid_t uid = which & FUSE_SET_ATTR_UID ? wanted->st_uid : (uid_t)-1;
	gid_t gid = which & FUSE_SET_ATTR_GID ? wanted->st_gid : (gid_t)-1;

	if (file < 0)
		return file;
	if ((which & SET_OWNER) && fchown(file, uid, gid) < 0)
		return -errno;
	if ((which & FUSE_SET_ATTR_MODE) && fchmod(file, wanted->st_mode & 07777) < 0)
		return -errno;
	if ((which & FUSE_SET_ATTR_SIZE) && ftruncate(file, wanted->st_size) < 0)
		return -errno;
	return which & SET_TIMES ? set_times(file, wanted, which) : 0;
}

void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *wanted, int which,
                struct fuse_file_info *info)
{
	struct store_node *node = store_node_find(fs_of(req)->store, ino);
	int64_t result = ino == STORE_ROOT_INO ? -EPERM : -ESTALE;

	if (node && !store_turn_done(fs_of(req)->store, &result)) {
		result = set_attributes(node, wanted, which);
		store_turn_did(fs_of(req)->store, result);
	}
	if (result < 0)
		fuse_reply_err(req, (int)-result);
	else
		fs_getattr(req, ino, info);
}

/* Programs decide by this whether a segment will fit. */
void fs_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct fs *fs = fs_of(req);
	struct statvfs status = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = NAME_LENGTH_MAX};
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
	status.f_favail = status.f_bfree;
	status.f_files = store_inodes(fs->store) + status.f_ffree;
	fuse_reply_statfs(req, &status);
}
