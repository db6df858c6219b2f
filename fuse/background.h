/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Into the background, and word to the starter when the daemon serves. */
#ifndef SHMEMU_FUSE_BACKGROUND_H
#define SHMEMU_FUSE_BACKGROUND_H

/* Forks; returns in the child, in a session of its own, with a descriptor for background_ready,
 * or -errno in the parent if that failed. The parent waits and exits: 0 once the child called
 * background_ready, else 1, the child having said why on standard error. */
int background_enter(void);

/* Tells whoever waits at the other end of `fd` (taken) that the daemon serves: one byte. */
void background_ready(int fd);

/* Standard input, output and error go to /dev/null. */
void background_detach_output(void);

#endif
