/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Directory streams for the library's own use, of folders of ours or not: -errno, errno untouched.
 */
#ifndef SHMEMU_PRELOAD_DIRS_H
#define SHMEMU_PRELOAD_DIRS_H

#include <dirent.h>

/* opendir(3), from the folder `dirfd` on. Returns 0 or -errno. */
int dir_open(int dirfd, const char *path, DIR **ret_dir);

/* readdir(3): 1, 0 at the end, or -errno. */
int dir_next(DIR *dir, struct dirent **ret_entry);

int dir_close(DIR *dir);
int dir_fd(DIR *dir);
long dir_tell(DIR *dir);
void dir_seek(DIR *dir, long position);

#endif
