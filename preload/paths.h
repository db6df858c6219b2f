/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commonest calls for the library's own use, on whatever path: ours or not, -errno, not traced,
 * errno untouched. */
#ifndef SHMEMU_PRELOAD_PATHS_H
#define SHMEMU_PRELOAD_PATHS_H

#include <sys/stat.h>
#include <sys/types.h>

/* open(2). `mode` is put under the umask here, or by the kernel. A cancellation point. */
int path_open(int dirfd, const char *path, int flags, mode_t mode);

/* fstatat(2); at_flags: AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH. */
int path_stat(int dirfd, const char *path, struct stat *ret_status, int at_flags);

/* mkdirat(2), unlinkat(2) (at_flags: AT_REMOVEDIR), faccessat(2), readlinkat(2). */
int path_mkdir(int dirfd, const char *path, mode_t mode);
int path_unlink(int dirfd, const char *path, int at_flags);
int path_access(int dirfd, const char *path, int mode, int at_flags);
ssize_t path_readlink(int dirfd, const char *path, char *ret_text, size_t room);

#endif
