/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A socket that whoever starts us has listened on for us: sd_listen_fds(3). */
#ifndef SHMEMU_FUSE_ACTIVATION_H
#define SHMEMU_FUSE_ACTIVATION_H

/* Takes the socket that LISTEN_PID and LISTEN_FDS tell of, and takes them and LISTEN_FDNAMES out of
 * the environment: no child is to believe them. To be called before anything is forked. Returns a
 * listening SEQPACKET socket of AF_UNIX, owned by the caller, or -errno: -ENOENT when none is told
 * of, -E2BIG when more than one is, -EPROTOTYPE when it is no such socket, and what else
 * getsockopt(2) says of it. */
int activation_take(void);

#endif
