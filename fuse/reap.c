/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks once in a while; since when a segment is an orphan is in the journal, as a kill of the
 * worker is not to make it younger. A semaphore or segment whose maker is gone but that somebody
 * has open is none. */
#include "fuse/reap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "fuse/holders.h"
#include "fuse/loop.h"
#include "fuse/store.h"

enum { PERIOD_SECONDS = 1 };

struct reaper {
	struct loop_source timer; /* first: the loop hands it back */
	struct loop *loop;
	struct store *store;
	unsigned seconds;
};

/* Is it time for this one? */
static bool is_due(struct reaper *reaper, struct store_node *node, uint64_t now)
{
	uint64_t since = store_node_orphan_since(node);

	if (!S_ISREG(store_node_type(node)) || holders_any(node) || holders_creator_lives(node)) {
		store_node_set_orphan_since(node, 0);
		return false;
	}
	if (!since)
		store_node_set_orphan_since(node, since = now);
	return now >= since + reaper->seconds;
}

static int reap(struct loop_source *source, uint32_t events)
{
	struct reaper *reaper = (struct reaper *)source;
	const struct store_entry *entry;
	uint64_t now = (uint64_t)time(NULL);
	uint64_t cookie = 0;
	uint64_t times;

	(void)events;
	if (read(source->fd, &times, sizeof times) < 0)
		return 0;
	while ((entry = store_entry_after(reaper->store, cookie))) {
		cookie = store_entry_cookie(entry);
		if (is_due(reaper, store_entry_node(entry), now))
			store_unlink(reaper->store, store_entry_folder(entry),
			             store_entry_name(entry));
	}
	return 0;
}

int reaper_new(struct reaper **ret_reaper, struct loop *loop, struct store *store,
               unsigned seconds)
{
	struct itimerspec period = {{PERIOD_SECONDS, 0}, {PERIOD_SECONDS, 0}};
	struct reaper *reaper = calloc(1, sizeof *reaper);
	int result;

	if (!reaper)
		return -ENOMEM;
	*reaper = (struct reaper){
		.timer = {
			.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
			.handle = reap,
		},
		.loop = loop,
		.store = store,
		.seconds = seconds,
	};
	result = reaper->timer.fd < 0 ? -errno : loop_add(loop, &reaper->timer, EPOLLIN);
	if (result == 0 && timerfd_settime(reaper->timer.fd, 0, &period, NULL) < 0)
		result = -errno;
	if (result < 0)
		reaper_free(reaper);
	else
		*ret_reaper = reaper;
	return result;
}

struct reaper *reaper_free(struct reaper *reaper)
{
	if (!reaper)
		return NULL;
	if (reaper->timer.fd >= 0)
		loop_remove(reaper->loop, &reaper->timer);
	fd_close_at(&reaper->timer.fd);
	free(reaper);
	return NULL;
}
