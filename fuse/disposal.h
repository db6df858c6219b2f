/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Closing what a client has sent, or may have sent through it: such a close can take for ever. */
#ifndef SHMEMU_FUSE_DISPOSAL_H
#define SHMEMU_FUSE_DISPOSAL_H

/* Once, before the first. Returns 0 or -errno. */
int disposal_begin(void);

/* Closes the descriptor (taken) in another thread. Where there can't be one it is closed here. */
void disposal_close(int fd);

#endif
