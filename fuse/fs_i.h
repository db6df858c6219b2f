/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the FUSE door's files share: fs.c mounts and serves, fs_attributes.c, fs_names.c and
 * fs_files.c answer. They are the only ones that include libfuse. */
#ifndef SHMEMU_FUSE_FS_I_H
#define SHMEMU_FUSE_FS_I_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <time.h>

#include "fuse/channel.h"
#include "fuse/fs.h"
#include "fuse/inodes.h"
#include "fuse/loop.h"
#include "fuse/store.h"

struct fs {
	struct loop_source device; /* first: the loop hands it back */
	struct loop *loop;         /* borrowed */
	struct store *store;       /* borrowed */
	struct fuse_session *session;
	struct channel channel;
	struct inodes inodes;
	char *mountpoint;          /* absolute */
	struct timespec born;      /* the root folder's times */
};

/* Every operation answers once and returns. A node that the kernel should not know by now is
 * ESTALE. */
static inline struct fs *fs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* Answers a request that yields nothing but success (0) or -errno. */
static inline void fs_reply_result(fuse_req_t req, int result)
{
	fuse_reply_err(req, result < 0 ? -result : 0);
}

/* Attributes of the root folder or of a file. Returns 0 or -errno. */
int fs_stat(const struct fs *fs, fuse_ino_t ino, struct stat *ret_status);

/* Writing to a file takes its set-id bits away, but not if root does, and it is we who write. */
void fs_strip_set_id(fuse_req_t req, int file);

void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *wanted, int which,
                struct fuse_file_info *info);
void fs_statfs(fuse_req_t req, fuse_ino_t ino);

void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_forget(fuse_req_t req, fuse_ino_t ino, uint64_t times);
void fs_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void fs_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void fs_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device);
void fs_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void fs_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void fs_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
               const char *new_name, unsigned int flags);
void fs_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                struct fuse_file_info *info);

void fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void fs_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
               struct fuse_file_info *info);
void fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void fs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
             struct fuse_file_info *info);
void fs_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
              struct fuse_file_info *info);
void fs_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                  struct fuse_file_info *info);
void fs_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
              struct fuse_file_info *info);

#endif
