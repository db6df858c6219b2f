/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The working folder, for the library's own use: 0 or -errno, errno untouched. */
#ifndef SHMEMU_PRELOAD_PLACE_H
#define SHMEMU_PRELOAD_PLACE_H

/* chdir(2), to a folder of ours or not. */
int place_enter(const char *path);

/* fchdir(2). */
int place_enter_fd(int fd);

#endif
