/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the FUSE door's files share: fs.c mounts and serves, the others answer. They are the only
 * ones that include libfuse. */
#ifndef SHMEMU_FUSE_FS_I_H
#define SHMEMU_FUSE_FS_I_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "fuse/awake.h"
#include "fuse/channel.h"
#include "fuse/fs.h"
#include "fuse/inodes.h"
#include "fuse/loop.h"
#include "fuse/store.h"
#include "fuse/token.h"

enum { REMOVED_MAX = 1024 };

/* What was removed not long ago: see fs_removed.c. */
struct removed {
	struct stat places[REMOVED_MAX];
	unsigned next;
};

/* What the kernel has been told to keep: see fs_told.c. Times are CLOCK_MONOTONIC's, in
 * milliseconds. */
struct told {
	bool alone;         /* nobody uses the other door */
	bool disturbed;     /* somebody has */
	int64_t from;       /* when to begin */
	int64_t until;      /* when the last that it keeps is out of date */
	uint64_t ino_floor; /* inodes from here on nobody has a descriptor of */
};

/* Whether it pays to look for the next request: see fs.c. */
struct crowd {
	long preempted; /* how often we were, by then */
	unsigned left;  /* requests until this is looked at again */
	unsigned rest;  /* the last time that it did not pay */
};

struct fs {
	struct loop_source device; /* first: the loop hands it back */
	struct loop *loop;         /* borrowed */
	struct store *store;       /* borrowed */
	struct tokens *tokens;     /* borrowed; NULL: none are given */
	struct fuse_session *session;
	struct channel channel;
	struct inodes inodes;
	struct removed removed;
	struct told told;
	struct crowd crowd;
	struct awake *awake; /* NULL: idle cores are left alone */
	struct channel_request request; /* the one that is being served */
	bool serving;
	bool root_told;   /* the kernel may have the root folder's attributes */
	char *mountpoint; /* absolute */
};

/* Every operation answers once and returns. A node that the kernel should not know by now is
 * ESTALE, a name in a folder that is gone ENOENT. */
static inline struct fs *fs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* Answers a request that yields nothing but success (0) or -errno. */
static inline void fs_reply_result(fuse_req_t req, int result)
{
	fuse_reply_err(req, result < 0 ? -result : 0);
}

/* A node that the kernel knows. NULL: it is gone. */
static inline struct store_node *fs_node(fuse_req_t req, fuse_ino_t ino)
{
	return store_node_find(fs_of(req)->store, ino);
}

/* The folder that a name is asked for in. 0, -ENOENT (it is gone) or -ENOTDIR. */
int fs_folder(const struct fs *fs, fuse_ino_t ino, struct store_node **ret_folder);

/* What stat(2) tells. 0 or -errno. */
int fs_stat(const struct fs *fs, fuse_ino_t ino, struct stat *ret_status);

/* Before a file is written or truncated: takes its set-id bits away, if that is ours to do. */
void fs_strip_set_id(const struct fs *fs, int file);

/* Is called with what is under a name, before it may go with it, and after; `node` may be NULL. */
struct stat fs_removed_look(const struct store_node *node);
void fs_removed_note(struct fs *fs, const struct stat *looked);
int fs_removed_stat(const struct removed *removed, fuse_ino_t ino, struct stat *ret_status);

/* Whose request is being served: fs_asker.c. */
struct store_actor fs_asker(const struct fs *fs);

/* How many seconds the kernel may keep a name that it is told of, and what stat(2) tells.
 * fs_told_begin: this is a mount that is new, or an earlier worker's. */
void fs_told_begin(struct fs *fs, bool is_new);
double fs_name_kept(struct fs *fs);
double fs_attributes_kept(struct fs *fs, const struct stat *status);

/* Answers with a node under a name. */
void fs_reply_entry(fuse_req_t req, struct store_node *node);

/* fs_attributes.c */
void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *wanted, int which,
                struct fuse_file_info *info);
void fs_statfs(fuse_req_t req, fuse_ino_t ino);
void fs_statx(struct fs *fs); /* which libfuse does not know */

/* fs_xattr.c */
void fs_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
                 int flags);
void fs_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void fs_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void fs_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

/* fs_names.c */
void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_forget(fuse_req_t req, fuse_ino_t ino, uint64_t times);
void fs_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void fs_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device);
void fs_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void fs_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
               const char *new_name, unsigned int flags);

/* fs_links.c */
void fs_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void fs_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void fs_readlink(fuse_req_t req, fuse_ino_t ino);

/* fs_folders.c */
void fs_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void fs_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                struct fuse_file_info *info);
void fs_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *info);

/* fs_open.c */
void fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void fs_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
               struct fuse_file_info *info);
void fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
/* The request itself, for libfuse does not know this one; it is being served. */
void fs_tmpfile(struct fs *fs, const void *request, size_t size);

/* fs_files.c */
void fs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
             struct fuse_file_info *info);
void fs_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
              struct fuse_file_info *info);
void fs_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                  struct fuse_file_info *info);
void fs_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
              struct fuse_file_info *info);
void fs_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int command, void *argument,
              struct fuse_file_info *info, unsigned flags, const void *given, size_t given_size,
              size_t room);

#endif
