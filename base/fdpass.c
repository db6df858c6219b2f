/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/fdpass.h"

#include <stdbool.h>
#include <string.h>

#include "base/own.h"

/* Room for the credentials and one descriptor. The kernel rounds the descriptor's part up, so a
 * second one can slip in; more than that is truncated, and the kernel keeps those itself. */
union control {
	char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static void control_add(struct msghdr *message, int type, const void *value, size_t size)
{
	char *end = (char *)message->msg_control + message->msg_controllen;
	struct cmsghdr *item = (struct cmsghdr *)end;

	item->cmsg_level = SOL_SOCKET;
	item->cmsg_type = type;
	item->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(item), value, size);
	message->msg_controllen += CMSG_SPACE(size);
}

int fdpass_send(int sock, const struct iovec *parts, size_t count, int fd,
                const struct fdpass_sender *sender, int flags)
{
	union control control;
	struct msghdr message = {
		.msg_iov = (struct iovec *)(uintptr_t)parts,
		.msg_iovlen = count,
		.msg_control = control.bytes,
	};
	ssize_t sent;

	memset(&control, 0, sizeof control);
	if (sender) {
		struct ucred claim = {sender->pid, sender->uid, sender->gid};

		control_add(&message, SCM_CREDENTIALS, &claim, sizeof claim);
	}
	if (fd >= 0)
		control_add(&message, SCM_RIGHTS, &fd, sizeof fd);
	if (!message.msg_controllen)
		message.msg_control = NULL;

	do
		sent = sys_sendmsg(sock, &message, flags | MSG_NOSIGNAL);
	while (sent == -EINTR);
	return sent < 0 ? (int)sent : 0;
}

/* Takes the first descriptor and closes any other; returns how many there were. */
static size_t take_fds(const struct cmsghdr *item, int *fd)
{
	size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < count; i++) {
		int one;

		memcpy(&one, CMSG_DATA(item) + i * sizeof one, sizeof one);
		if (*fd < 0)
			*fd = one;
		else
			sys_close(one);
	}
	return count;
}

static void close_fds(const struct cmsghdr *item)
{
	int one = -1;

	take_fds(item, &one);
	fd_close_at(&one);
}

/* Returns how many descriptors came. */
static size_t take_control(struct msghdr *message, int *fd, struct fdpass_sender *sender)
{
	size_t count = 0;

	struct cmsghdr *item;

	for (item = CMSG_FIRSTHDR(message); item; item = CMSG_NXTHDR(message, item)) {
		struct ucred told;

		if (item->cmsg_level != SOL_SOCKET)
			continue;
		if (item->cmsg_type == SCM_PIDFD)
			close_fds(item);
		if (item->cmsg_type == SCM_RIGHTS) {
			count += take_fds(item, fd);
		} else if (item->cmsg_type == SCM_CREDENTIALS) {
			memcpy(&told, CMSG_DATA(item), sizeof told);
			*sender = (struct fdpass_sender){told.pid, told.uid, told.gid};
		}
	}
	return count;
}

ssize_t fdpass_receive(int sock, const struct iovec *parts, size_t count, int *ret_fd,
                       struct fdpass_sender *ret_sender, int flags)
{
	OWN_FD fd = -1;
	struct fdpass_sender sender = {-1, (uid_t)-1, (gid_t)-1};
	union control control;
	struct msghdr message;
	ssize_t size;
	size_t came;

	do {
		message = (struct msghdr){
			.msg_iov = (struct iovec *)(uintptr_t)parts,
			.msg_iovlen = count,
			.msg_control = control.bytes,
			.msg_controllen = sizeof control.bytes,
		};
		size = sys_recvmsg(sock, &message, flags | MSG_CMSG_CLOEXEC);
	} while (size == -EINTR);
	if (size < 0)
		return size;

	came = take_control(&message, &fd, &sender);
	if (came > 1)
		return -EPROTO;
	if (message.msg_flags & MSG_CTRUNC)
		return came ? -EPROTO : -EMFILE;
	if (message.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	if (ret_sender)
		*ret_sender = sender;
	*ret_fd = fd_steal(&fd);
	return size;
}
