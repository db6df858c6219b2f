/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/keep.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/fdpass.h"
#include "base/own.h"

enum { NAP_MILLISECONDS = 1 };

int keep_send(int sock, const struct keep_message *message, int fd)
{
	struct iovec part = {(void *)(uintptr_t)message, sizeof *message};
	int result;

	/* Too many descriptors of ours are under way, or memory is short: the keeper is reading. */
	while ((result = fdpass_send(sock, &part, 1, fd, NULL, 0)) == -ETOOMANYREFS ||
	       result == -ENOBUFS || result == -ENOMEM)
		poll(NULL, 0, NAP_MILLISECONDS);
	return result;
}

int keep_receive(int sock, struct keep_message *ret_message, int *ret_fd, int flags)
{
	struct iovec part = {ret_message, sizeof *ret_message};
	OWN_FD fd = -1;
	ssize_t size = fdpass_receive(sock, &part, 1, &fd, NULL, flags);

	if (size <= 0)
		return (int)size;
	if (size != sizeof *ret_message)
		return -EPROTO;
	*ret_fd = fd_steal(&fd);
	return 1;
}

int keep_put(const struct keep *keep, enum keep_kind kind, uint64_t id, int fd)
{
	struct keep_message message = {.op = KEEP_PUT, .kind = kind, .id = id};

	return keep_send(keep->sock, &message, fd);
}

int keep_drop(const struct keep *keep, enum keep_kind kind, uint64_t id)
{
	struct keep_message message = {.op = KEEP_DROP, .kind = kind, .id = id};

	return keep_send(keep->sock, &message, -1);
}

int keep_say(const struct keep *keep, enum keep_op op, uint64_t id, int64_t value)
{
	struct keep_message message = {.op = op, .id = id, .value = value};

	return keep_send(keep->sock, &message, -1);
}

int keep_resize(const struct keep *keep, enum keep_kind kind, uint64_t id, uint64_t size)
{
	struct keep_message message = {
		.op = KEEP_RESIZE,
		.kind = kind,
		.id = id,
		.value = (int64_t)size,
	};

	return keep_send(keep->sock, &message, -1);
}
