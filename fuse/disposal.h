/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Closing what a client has sent, or may have sent through it: such a close can take for ever. */
#ifndef SHMEMU_FUSE_DISPOSAL_H
#define SHMEMU_FUSE_DISPOSAL_H

/* Once, before the first. Returns 0 or -errno. */
int disposal_begin(void);

/* Closes the descriptor (taken) in another thread. Where there can't be one it is closed here. */
void disposal_close(int fd);

/* Takes a message out of a socket, if there is one, and closes so what comes with it. 0 or -errno:
 * -ENOMEM: it is there still. */
int disposal_message(int sock);

#endif
