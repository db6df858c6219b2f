/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One message with at most one file descriptor and the sender's credentials, over a Unix socket. */
#ifndef SHMEMU_BASE_FDPASS_H
#define SHMEMU_BASE_FDPASS_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Comes with a message, like SCM_RIGHTS, where the receiving end asks for it: a peer that has kept
 * the other end of a socket it gave us can do that on our behalf. */
#ifndef SCM_PIDFD
#define SCM_PIDFD 4 /* Linux 6.5 */
#endif

/* Who sent a message, by the kernel's word. */
struct fdpass_sender {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

/* Sends the parts as one message, with `fd` if it is not -1 (the caller keeps its own). With
 * `sender` its ids are claimed for the message; the kernel refuses ids that are not the caller's
 * (-EPERM). Returns 0 or -errno; -EAGAIN under MSG_DONTWAIT when the peer does not read. Never
 * raises SIGPIPE. */
int fdpass_send(int sock, const struct iovec *parts, size_t count, int fd,
                const struct fdpass_sender *sender, int flags);

/* Receives one message into the parts. *ret_fd gets its descriptor, close-on-exec and
 * owned by the caller, or -1. ret_sender may be NULL; it is all -1 when the kernel attached no
 * credentials. Returns the message's size, 0 at the end of the connection, or -errno: -EMSGSIZE
 * for a message larger than the parts, -EMFILE when a descriptor came and there was no free number
 * for it, -EPROTO for more than one descriptor. In every failure all descriptors that came are
 * closed. */
ssize_t fdpass_receive(int sock, const struct iovec *parts, size_t count, int *ret_fd,
                       struct fdpass_sender *ret_sender, int flags);

#endif
