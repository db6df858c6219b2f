/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A watcher is an inotify descriptor that watches one file. They are kept, as closing one waits for
 * the kernel's readers, milliseconds. Where there is none to be had (a host without, the user's
 * limit of 128, a file system whose changes are not told of) a waiting thread looks again and
 * again, soon at first. */
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/inotify.h>

#include "base/sys.h"
#include "base/text.h"
#include "preload/guard.h"
#include "preload/lock.h"
#include "preload/sync.h"

enum { WATCHERS_MAX = 16, SECOND_NS = 1000000000 };
enum { PAUSE_FIRST_NS = 20000, PAUSE_LAST_NS = 2000000, PAUSE_TOLD_NS = 100000000 };

enum state { STATE_NEVER, STATE_FREE, STATE_BUSY };

static struct watcher {
	atomic_int state;
	int fd;
	int number; /* of the watch */
	dev_t device;
	ino_t inode;
	bool is_deaf; /* of this file it hears nothing */
} watchers[WATCHERS_MAX];

bool deadline_is_valid(const struct deadline *deadline)
{
	return !deadline->at || (deadline->at->tv_nsec >= 0 && deadline->at->tv_nsec < SECOND_NS);
}

long deadline_left(const struct deadline *deadline, long most)
{
	struct timespec now;
	long seconds;

	if (!deadline || !deadline->at)
		return most;
	sys_call(SYS_clock_gettime, deadline->clock, (long)&now, 0, 0, 0, 0);
	if (deadline->at->tv_sec < 0)
		return 0;
	seconds = deadline->at->tv_sec - now.tv_sec;
	if (seconds < -1)
		return 0;
	if (seconds <= most / SECOND_NS + 1) {
		long left = seconds * SECOND_NS + deadline->at->tv_nsec - now.tv_nsec;

		if (left <= 0)
			return 0;
		return left < most ? left : most;
	}
	return most;
}

static bool turn(struct watcher *watcher, int from)
{
	return atomic_compare_exchange_strong(&watcher->state, &from, STATE_BUSY);
}

static bool is_of(const struct watcher *watcher, const struct views_place *place)
{
	return watcher->inode == place->inode && watcher->device == place->device;
}

static struct watcher *take_for(const struct views_place *place)
{
	for (int i = 0; i < WATCHERS_MAX; i++) {
		struct watcher *watcher = &watchers[i];

		if (watcher->state != STATE_FREE || !is_of(watcher, place) ||
		    !turn(watcher, STATE_FREE))
			continue;
		if (is_of(watcher, place))
			return watcher;
		atomic_store(&watcher->state, STATE_FREE);
	}
	return NULL;
}

static bool open_watcher(struct watcher *watcher)
{
	uint64_t before;
	bool is_kept;

	watcher->number = -1;
	watcher->fd = (int)sys_call(SYS_inotify_init1, IN_CLOEXEC, 0, 0, 0, 0, 0);
	if (watcher->fd < 0)
		return false;
	before = lock_take();
	is_kept = guard_keep(&watcher->fd) == 0;
	lock_leave(before);
	if (!is_kept)
		sys_close(watcher->fd);
	return is_kept;
}

/* A new one, or one that last watched another file. */
static struct watcher *take_other(void)
{
	for (int i = 0; i < WATCHERS_MAX; i++) {
		struct watcher *watcher = &watchers[i];

		if (!turn(watcher, STATE_NEVER))
			continue;
		if (open_watcher(watcher))
			return watcher;
		atomic_store(&watcher->state, STATE_NEVER);
		break;
	}
	for (int i = 0; i < WATCHERS_MAX; i++)
		if (turn(&watchers[i], STATE_FREE))
			return &watchers[i];
	return NULL;
}

/* Takes all that has been told. Returns whether there was something. */
static bool drain(struct watcher *watcher)
{
	static const struct timespec at_once = {0};
	struct pollfd poll = {.fd = watcher->fd, .events = POLLIN};
	char events[4 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
	bool some = false;

	while (sys_poll(&poll, 1, &at_once) == 1 &&
	       sys_read(watcher->fd, events, sizeof events) > 0)
		some = true;
	return some;
}

static void watch_file(struct watcher *watcher, const struct views_place *place)
{
	struct text path = TEXT_NULL;
	struct gate gate;
	char byte;

	watcher->device = place->device;
	watcher->inode = place->inode;
	watcher->is_deaf = true;
	if (gate_enter(&gate, place) < 0)
		return;
	if (watcher->number >= 0)
		sys_call(SYS_inotify_rm_watch, watcher->fd, watcher->number, 0, 0, 0, 0);
	text_string(&path, "/proc/thread-self/fd/");
	text_number(&path, gate.claim->fd);
	watcher->number = (int)sys_call(SYS_inotify_add_watch, watcher->fd, (long)path.bytes,
	                                IN_MODIFY, 0, 0, 0);
	drain(watcher);
	/* Is one told? A byte is written as it is. */
	if (watcher->number >= 0 && gate_read(&gate, &byte, 1) == 0 &&
	    gate_write(&gate, &byte, 1) == 0)
		watcher->is_deaf = !drain(watcher);
	gate_leave(&gate);
}

void watch_begin(struct watch *watch, const struct views_place *place)
{
	struct watcher *watcher = take_for(place);

	*watch = (struct watch){.pause = PAUSE_FIRST_NS};
	if (!watcher) {
		watcher = take_other();
		if (!watcher)
			return;
		watch_file(watcher, place);
	}
	if (watcher->is_deaf) {
		atomic_store(&watcher->state, STATE_FREE);
		return;
	}
	watch->watcher = watcher;
	drain(watcher);
}

void watch_end(struct watch *watch)
{
	if (watch->watcher)
		atomic_store(&watch->watcher->state, STATE_FREE);
	watch->watcher = NULL;
}

__attribute__((cold)) void watch_after_fork(void)
{
	for (int i = 0; i < WATCHERS_MAX; i++) {
		if (watchers[i].state == STATE_NEVER)
			continue;
		guard_close(&watchers[i].fd);
		atomic_store(&watchers[i].state, STATE_NEVER);
	}
}

/* As the kernel has it. */
struct action {
	uintptr_t handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

static bool interrupts(int number)
{
	struct action action = {0};
	long result = sys_call(SYS_rt_sigaction, number, 0, (long)&action, sizeof action.mask, 0,
	                       0);

	return result == 0 && action.handler != (uintptr_t)SIG_DFL &&
	       action.handler != (uintptr_t)SIG_IGN &&
	       !(action.flags & SA_RESTART);
}

/* Signals wait for the moment. Returns -EINTR if one is there that interrupts. */
static long pause_and_look(const struct timespec *moment)
{
	const uint64_t all = UINT64_MAX;
	uint64_t before, pending = 0;
	long result = 0;

	sys_sigmask(SIG_SETMASK, &all, &before);
	sys_poll(NULL, 0, moment);
	sys_call(SYS_rt_sigpending, (long)&pending, sizeof pending, 0, 0, 0, 0);
	pending &= ~before;
	for (int number = 1; pending; number++, pending >>= 1)
		if ((pending & 1) && interrupts(number))
			result = -EINTR;
	sys_sigmask(SIG_SETMASK, &before, NULL);
	return result;
}

/* A wait without end is a read, as this is what the kernel begins anew after a handler that was
 * set so (SA_RESTART), like sem_wait; and no other, like sem_timedwait. */
static long stand_by(struct watch *watch, long most, bool is_endless)
{
	struct timespec left = {most / SECOND_NS, most % SECOND_NS};
	char events[4 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
	struct pollfd poll = {.events = POLLIN};
	long result;

	if (!watch->watcher)
		return is_endless ? pause_and_look(&left) : sys_poll(NULL, 0, &left);
	poll.fd = watch->watcher->fd;
	if (is_endless)
		return sys_read(poll.fd, events, sizeof events);
	result = sys_poll(&poll, 1, &left);
	return result > 0 ? sys_read(poll.fd, events, sizeof events) : result;
}

int watch_wait(struct watch *watch, const struct deadline *deadline, int flags)
{
	long most = deadline_left(deadline, watch->watcher ? PAUSE_TOLD_NS : watch->pause);
	bool is_endless = (flags & WATCH_SIGNALS) && (!deadline || !deadline->at);
	int type;
	long result;

	if (most == 0)
		return -ETIMEDOUT;
	if (flags & WATCH_CANCEL)
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	result = stand_by(watch, most, is_endless);
	if (flags & WATCH_CANCEL)
		pthread_setcanceltype(type, NULL);
	watch->pause = watch->pause * 2 < PAUSE_LAST_NS ? watch->pause * 2 : PAUSE_LAST_NS;
	return result == -EINTR && (flags & WATCH_SIGNALS) ? -EINTR : 0;
}
