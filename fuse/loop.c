/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events are fetched one at a time: a handler may then remove, and free, whatever it likes, and
 * no fetched event can be left over for a source that is gone. */
#include "fuse/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/own.h"

struct loop {
	int epoll;
	bool stopped;
};

int loop_new(struct loop **ret_loop)
{
	struct loop *loop = calloc(1, sizeof *loop);

	if (!loop)
		return -ENOMEM;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0) {
		int error = errno;

		free(loop);
		return -error;
	}
	*ret_loop = loop;
	return 0;
}

struct loop *loop_free(struct loop *loop)
{
	if (loop)
		fd_close_at(&loop->epoll);
	free(loop);
	return NULL;
}

static int control(struct loop *loop, int operation, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	return epoll_ctl(loop->epoll, operation, source->fd, &event) < 0 ? -errno : 0;
}

int loop_add(struct loop *loop, struct loop_source *source, uint32_t events)
{
	return control(loop, EPOLL_CTL_ADD, source, events);
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
	control(loop, EPOLL_CTL_DEL, source, 0);
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}

int loop_run(struct loop *loop)
{
	int result = 0;

	loop->stopped = false;
	while (!loop->stopped && result >= 0) {
		struct epoll_event event;
		int count = epoll_wait(loop->epoll, &event, 1, -1);

		if (count < 0 && errno != EINTR)
			return -errno;
		if (count == 1) {
			struct loop_source *source = event.data.ptr;

			result = source->handle(source, event.events);
		}
	}
	return result < 0 ? result : 0;
}
