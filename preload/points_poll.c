/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* poll(2) and its kin: points, as those of points.c. A queue that is shared does not show what it
 * has by its descriptor until the daemon knows that somebody looks at that. */
/* libc's header has none of them inline then. */
#ifndef __NO_INLINE__
#define __NO_INLINE__ 1
#endif

#include "preload/export.h"
#include "preload/mq.h"
#include "preload/points.h"
#include "preload/real.h"

static void look_at_each(const struct pollfd *fds, nfds_t count)
{
	const short ready = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;

	for (nfds_t i = 0; i < count; i++)
		if (fds[i].fd >= 0 && (fds[i].events & ready))
			mq_polled(fds[i].fd);
}

static void look_at_set(int count, const fd_set *set)
{
	for (int fd = 0; set && fd < count; fd++)
		if (FD_ISSET(fd, set))
			mq_polled(fd);
}

/* A program that has no queues pays for a look at one number. */
static void note_fds(const struct pollfd *fds, nfds_t count)
{
	if (__builtin_expect(mq_any(), 0) && fds)
		look_at_each(fds, count);
}

static void note_sets(int count, const fd_set *reading, const fd_set *writing)
{
	if (__builtin_expect(!mq_any(), 1))
		return;
	look_at_set(count, reading);
	look_at_set(count, writing);
}

EXPORT int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	note_fds(fds, count);
	POINTS_TALK(int, poll, (fds, count, timeout));
}

extern int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room);
EXPORT int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room)
{
	note_fds(fds, count);
	POINTS_TALK(int, __poll_chk, (fds, count, timeout, room));
}

EXPORT int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask)
{
	note_fds(fds, count);
	POINTS_TALK(int, ppoll, (fds, count, timeout, mask));
}

extern int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                       const sigset_t *mask, size_t room);
EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                       const sigset_t *mask, size_t room)
{
	note_fds(fds, count);
	POINTS_TALK(int, __ppoll_chk, (fds, count, timeout, mask, room));
}

EXPORT int select(int count, fd_set *reading, fd_set *writing, fd_set *other,
                  struct timeval *timeout)
{
	note_sets(count, reading, writing);
	POINTS_TALK(int, select, (count, reading, writing, other, timeout));
}

EXPORT int pselect(int count, fd_set *reading, fd_set *writing, fd_set *other,
                   const struct timespec *timeout, const sigset_t *mask)
{
	note_sets(count, reading, writing);
	POINTS_TALK(int, pselect, (count, reading, writing, other, timeout, mask));
}

EXPORT int epoll_ctl(int fd, int operation, int of, struct epoll_event *event)
{
	if (__builtin_expect(mq_any(), 0) && operation != EPOLL_CTL_DEL)
		mq_polled(of);
	return REAL(epoll_ctl)(fd, operation, of, event);
}
