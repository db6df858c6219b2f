/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/refresh.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/sys.h"
#include "preload/lock.h"
#include "preload/views_i.h"

enum {
	SMALL = 1 << 18,            /* bytes of a file that are always compared */
	PERIOD_NS = 5 * 1000 * 1000,
	SHARE = 20,                 /* at most one in so many parts of the time is spent on it */
	SECOND_NS = 1000 * 1000 * 1000,
	STACK_SIZE = 1 << 17,
	PULLS_MAX = 3,
};

/* The thread of this process is there, or about to be. */
static atomic_bool is_running;

void refresh_release_locked(void)
{
	for (struct view *view = views_first(0); view; view = views_next(view))
		twin_push(view);
}

static void look(struct backing *backing)
{
	bool is_unchanged = backing_is_unchanged(backing);

	backing->is_pulled = is_unchanged && backing->bytes > SMALL;
}

static void look_again(struct backing *backing)
{
	backing->is_pulled = backing->is_pulled || !backing_has_moved_on(backing);
}

static bool pull_all(void)
{
	bool pulled = false;

	for (struct view *view = views_first(0); view; view = views_next(view)) {
		if (!view->backing || view->kind == VIEW_QUIET)
			continue;
		twin_fit(view);
		if (view->backing->is_pulled)
			continue;
		twin_pull(view);
		pulled = pulled || view->kind == VIEW_SHARED;
	}
	return pulled;
}

/* What others write while it is pulled is had in part: so once more, but not for ever. After the
 * last time nobody looks: what has changed since is to be seen by the next who does. */
void refresh_acquire_locked(void)
{
	backing_each(look);
	for (int pulls = 1; pull_all() && pulls < PULLS_MAX; pulls++)
		backing_each(look_again);
}

void views_release(void)
{
	uint64_t before;

	if (!views_shared_any())
		return;
	before = lock_take();
	refresh_release_locked();
	lock_leave(before);
}

void views_acquire(void)
{
	uint64_t before;

	if (!views_shared_any())
		return;
	before = lock_take();
	refresh_acquire_locked();
	lock_leave(before);
}

void views_resize(void)
{
	uint64_t before = lock_take();

	refresh_acquire_locked();
	lock_leave(before);
}

/* That it was empty for a moment is what private views lose what they have by. */
void views_empty(int fd)
{
	struct stat status;
	uint64_t before;

	if (sys_fstat(fd, &status) < 0)
		return;
	before = lock_take();
	for (struct view *view = views_first(0); view; view = views_next(view))
		if (view->kind == VIEW_PRIVATE && view->backing &&
		    view->backing->inode == status.st_ino &&
		    view->backing->device == status.st_dev) {
			view->backing->size = 0;
			twin_fit(view);
		}
	refresh_acquire_locked();
	lock_leave(before);
}

static int64_t now(void)
{
	struct timespec time;

	sys_call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&time, 0, 0, 0, 0);
	return (int64_t)time.tv_sec * SECOND_NS + time.tv_nsec;
}

static void rest(int64_t nanoseconds)
{
	struct timespec time = {nanoseconds / SECOND_NS, nanoseconds % SECOND_NS};

	sys_call(SYS_nanosleep, (long)&time, 0, 0, 0, 0, 0);
}

/* Returns when there is nothing left to do. */
static void *keep_fresh(void *unused)
{
	int64_t period = PERIOD_NS;

	while (views_shared_any()) {
		int64_t begun, taken;

		rest(period);
		begun = now();
		views_release();
		views_acquire();
		taken = now() - begun;
		period = taken * SHARE > PERIOD_NS ? taken * SHARE : PERIOD_NS;
	}
	atomic_store(&is_running, false);
	/* Somebody may have seen it running just before. */
	if (views_shared_any())
		refresh_begin();
	return unused;
}

/* Without it there are points still. No handler of the program's is to run in it; but by one of
 * glibc's own all threads become another user when one does, and that is waited for. */
void refresh_begin(void)
{
	enum { SIGCANCEL = 32, SIGSETXID = 33 };
	const uint64_t all = ~(1ULL << (SIGCANCEL - 1) | 1ULL << (SIGSETXID - 1));
	pthread_attr_t attributes;
	pthread_t thread;
	uint64_t before;

	if (!views_shared_any() || atomic_exchange(&is_running, true))
		return;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	sys_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&thread, &attributes, keep_fresh, NULL) != 0)
		atomic_store(&is_running, false);
	sys_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
}

void refresh_before_fork(void)
{
	refresh_release_locked();
}

/* What another thread has changed since is its parent's to push. */
__attribute__((cold)) void refresh_after_fork(void)
{
	views_forget_kept_back();
	for (struct view *view = views_first(0); view; view = views_next(view))
		twin_adopt(view);
	backing_after_fork();
	if (atomic_load(&is_running))
		atomic_store(&is_running, false);
}
