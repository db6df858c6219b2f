/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The last close of a file can wait for others: of a TCP socket with SO_LINGER, of a file in
 * somebody's FUSE filesystem, or of a socket in whose queue such a file lies. One thread closes
 * after the other what is written to a pipe; when one has been at it for too long, the next begins,
 * and at THREADS_MAX the pipe fills and then its writer closes by itself: who sent all these is
 * bounded by the limits on connections. */
#include "fuse/disposal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "base/own.h"
#include "fuse/thread.h"

enum {
	THREADS_MAX = 16,
	SCM_FDS = 253,    /* SCM_MAX_FD of the kernel */
	SCM_OTHERS = 512, /* bytes of credentials, a pidfd and a security label */
};

static struct {
	int ends[2];
	bool open;
	int threads;
	atomic_int waiting; /* written and not closed yet */
} disposal;

static void *close_all(void *unused)
{
	int fd;

	while (read(disposal.ends[0], &fd, sizeof fd) == sizeof fd) {
		close(fd);
		atomic_fetch_sub(&disposal.waiting, 1);
	}
	return unused;
}

int disposal_begin(void)
{
	if (pipe2(disposal.ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	/* Threads wait for more; the writer never does. */
	fcntl(disposal.ends[0], F_SETFL, 0);
	disposal.open = true;
	return 0;
}

/* More are waiting than there are threads: those may be stuck. */
static bool is_manned(void)
{
	if (disposal.threads <= atomic_load(&disposal.waiting) && disposal.threads < THREADS_MAX)
		disposal.threads += thread_start(close_all);
	return disposal.threads > 0;
}

void disposal_close(int fd)
{
	if (fd < 0)
		return;
	if (!disposal.open || !is_manned()) {
		close(fd);
		return;
	}
	atomic_fetch_add(&disposal.waiting, 1);
	if (write(disposal.ends[1], &fd, sizeof fd) != sizeof fd) {
		atomic_fetch_sub(&disposal.waiting, 1);
		close(fd);
	}
}

int disposal_message(int sock)
{
	union {
		struct cmsghdr align;
		char room[SCM_OTHERS + CMSG_SPACE(SCM_FDS * sizeof(int))];
	} control;
	struct msghdr message = {
		.msg_control = control.room,
		.msg_controllen = sizeof control.room,
	};
	ssize_t size = recvmsg(sock, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *part = size < 0 ? NULL : CMSG_FIRSTHDR(&message);

	for (; part; part = CMSG_NXTHDR(&message, part)) {
		const int *fds = (const int *)(const void *)CMSG_DATA(part);
		size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof *fds;

		if (part->cmsg_level != SOL_SOCKET ||
		    (part->cmsg_type != SCM_RIGHTS && part->cmsg_type != SCM_PIDFD))
			continue;
		for (size_t i = 0; i < count; i++)
			disposal_close(fds[i]);
	}
	return size < 0 ? -errno : 0;
}
