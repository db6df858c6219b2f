/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events are fetched one at a time: a handler may then remove, and free, whatever it likes, and
 * no fetched event can be left over for a source that is gone. One that was fetched while a first
 * source was ready is not looked at: it is fetched again. */
#include "fuse/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/look.h"
#include "base/own.h"
#include "base/spin.h"

struct loop {
	int epoll;
	int first; /* owned, an epoll of its own, in the other */
	unsigned firsts; /* sources in it */
	struct spin spin;
	bool served; /* the last one waited for was a source, and not only a first one */
	bool stopped;
	bool stirred; /* since `quiet` was called */
	void (*quiet)(void);
	struct loop_looker too;
};

enum {
	SPINNING_NS = 50 * 1000,
	TRY_NS = 200 * 1000,
	REST_MOST = 128,
	LOOKS = 32, /* at memory, for each by a system call */
	QUIET_MILLISECONDS = 1000,
};

static int make_sets(struct loop *loop)
{
	struct epoll_event event = {.events = EPOLLIN};

	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	loop->first = loop->epoll < 0 ? -1 : epoll_create1(EPOLL_CLOEXEC);
	if (loop->first < 0 || epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->first, &event) < 0)
		return -errno;
	return 0;
}

int loop_new(struct loop **ret_loop)
{
	struct loop *loop = calloc(1, sizeof *loop);
	int result;

	if (!loop)
		return -ENOMEM;
	*loop = (struct loop){.epoll = -1, .first = -1, .spin = SPIN_INIT(SPINNING_NS)};
	loop->spin.try_longest = TRY_NS;
	loop->spin.rest_most = REST_MOST;
	result = make_sets(loop);
	if (result < 0) {
		loop_free(loop);
		return result;
	}
	*ret_loop = loop;
	return 0;
}

struct loop *loop_free(struct loop *loop)
{
	if (loop) {
		fd_close_at(&loop->first);
		fd_close_at(&loop->epoll);
	}
	free(loop);
	return NULL;
}

static int control(int set, int operation, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	return epoll_ctl(set, operation, source->fd, &event) < 0 ? -errno : 0;
}

int loop_add(struct loop *loop, struct loop_source *source, uint32_t events)
{
	return control(loop->epoll, EPOLL_CTL_ADD, source, events);
}

int loop_change(struct loop *loop, struct loop_source *source, uint32_t events)
{
	return control(loop->epoll, EPOLL_CTL_MOD, source, events);
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
	control(loop->epoll, EPOLL_CTL_DEL, source, 0);
}

int loop_add_first(struct loop *loop, struct loop_source *source, uint32_t events)
{
	int result = control(loop->first, EPOLL_CTL_ADD, source, events);

	if (result == 0)
		loop->firsts++;
	return result;
}

void loop_remove_first(struct loop *loop, struct loop_source *source)
{
	if (control(loop->first, EPOLL_CTL_DEL, source, 0) == 0)
		loop->firsts--;
}

void loop_when_quiet(struct loop *loop, void (*quiet)(void))
{
	loop->quiet = quiet;
	loop->stirred = true;
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}

int loop_hear_first(struct loop *loop)
{
	struct epoll_event event;
	int heard = 0;
	int result = 0;

	while (result >= 0 && loop->firsts && epoll_wait(loop->first, &event, 1, 0) == 1) {
		struct loop_source *source = event.data.ptr;

		result = source->handle(source, event.events);
		heard++;
	}
	return result < 0 ? result : heard;
}

void loop_look_too(struct loop *loop, const struct loop_looker *looker)
{
	loop->too = *looker;
}

/* A look by a system call takes as long as some of the others, which would find it busy. */
static bool look_too(struct loop *loop)
{
	const struct loop_looker *too = &loop->too;

	for (int i = 0; i < LOOKS; i++) {
		if (too->look(too->details))
			return true;
		look_pause();
	}
	return false;
}

/* Who was served asks on, often at once: before a wake-up would have been through. */
static int look_for_event(struct loop *loop, struct epoll_event *ret_event)
{
	uint32_t spinning = spin_begin(&loop->spin);
	uint64_t since = spinning ? look_now() : 0;
	bool looks = spinning && loop->too.begin && loop->too.begin(loop->too.details);
	uint64_t took = 0;
	int count = 0;

	while (count == 0 && took < spinning && !loop->stopped) {
		bool heard = looks && look_too(loop);

		count = epoll_wait(loop->epoll, ret_event, 1, 0);
		took = look_now() - since;
		if (!heard)
			continue;
		loop->stirred = true;
		spin_paid(&loop->spin, took);
		since += took;
		took = 0;
	}
	if (looks)
		loop->too.end(loop->too.details);
	/* Whose event it was may be gone. */
	if (looks && count > 0)
		count = epoll_wait(loop->epoll, ret_event, 1, 0);
	if (count > 0)
		spin_paid(&loop->spin, took);
	else if (spinning)
		spin_failed(&loop->spin);
	return count;
}

/* One event or, interrupted or quiet, none. */
static int wait_for_event(struct loop *loop, struct epoll_event *ret_event)
{
	int count = loop->served ? look_for_event(loop, ret_event) : 0;
	bool may_be_quiet = loop->quiet && loop->stirred;

	loop->served = false;
	if (count != 0)
		return count < 0 ? -errno : count;
	count = epoll_wait(loop->epoll, ret_event, 1, may_be_quiet ? QUIET_MILLISECONDS : -1);
	if (count == 0) {
		loop->stirred = false;
		loop->quiet();
	}
	return count < 0 ? -errno : count;
}

int loop_run(struct loop *loop)
{
	int result = 0;

	loop->stopped = false;
	while (!loop->stopped && result >= 0) {
		struct epoll_event event;
		int count = wait_for_event(loop, &event);

		if (count < 0 && count != -EINTR)
			return count;
		result = loop_hear_first(loop);
		if (count == 1 && result == 0 && event.data.ptr) {
			struct loop_source *source = event.data.ptr;
			bool sleeps = source->sleeps; /* it may be freed by its handler */

			result = source->handle(source, event.events);
			loop->served = !sleeps;
			loop->stirred = true;
		}
	}
	return result < 0 ? result : 0;
}
