/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Process-shared conditions in emulated memory. A signal is for those who waited before it, and a
 * waiter remembers how many signals there had been. One signal at a time is out for one of them to
 * take; if the next comes before that, both wake all that wait, for else a younger waiter might
 * take what was an older one's. */
#include <pthread.h>

#include "base/sys.h"
#include "preload/export.h"
#include "preload/sync.h"

/* At the beginning of the condition, in place of glibc's. */
struct queue {
	unsigned signals;  /* how many there were: goes round */
	unsigned released; /* who waited before this signal is free to go */
	unsigned single;   /* whether one more is, of those before the last signal */
	unsigned waiting;  /* too many where some were killed: this only wakes more than need be */
};

/* glibc's, in __wrefs. */
enum { COND_SHARED = 1, COND_MONOTONIC = 2 };

_Static_assert(sizeof(struct queue) <= offsetof(pthread_cond_t, __data.__wrefs),
               "what says that it is shared stays");

struct waiting {
	const struct views_place *place;
	struct watch watch;
	unsigned signals; /* before it waited */
	pthread_mutex_t *mutex;
};

static bool is_served(const pthread_cond_t *condition, struct views_place *ret_place)
{
	return views_any() && (condition->__data.__wrefs & COND_SHARED) &&
	       views_find(condition, sizeof *condition, ret_place);
}

static bool is_before(unsigned one, unsigned other)
{
	return (int)(one - other) < 0;
}

/* Takes a single signal only with `take`, and tells then that the waiter is gone. */
static bool is_free(struct queue *queue, unsigned signals, bool take)
{
	bool by_all = is_before(signals, queue->released);
	bool by_single = queue->single && is_before(signals, queue->signals);

	if (!take || (!by_all && !by_single))
		return by_all || by_single;
	if (!by_all)
		queue->single = 0;
	return true;
}

/* Opens the gate to the queue, which is to be written before gate_leave. */
static int enter_queue(const struct views_place *place, struct gate *gate, struct queue *queue)
{
	int result = gate_enter(gate, place);

	if (result < 0)
		return result;
	result = gate_read(gate, queue, sizeof *queue);
	if (result < 0)
		gate_leave(gate);
	return result;
}

static int leave_queue(struct gate *gate, const struct queue *queue)
{
	int result = gate_write(gate, queue, sizeof *queue);

	gate_leave(gate);
	return result;
}

static int join(struct waiting *waiting)
{
	struct gate gate;
	struct queue queue;
	int result = enter_queue(waiting->place, &gate, &queue);

	if (result < 0)
		return result;
	queue.waiting++;
	waiting->signals = queue.signals;
	return leave_queue(&gate, &queue);
}

/* Returns whether it was free to go; who is not goes only if `anyway`. */
static bool part(struct waiting *waiting, bool anyway, bool take)
{
	struct gate gate;
	struct queue queue;
	bool was_free = false;

	if (enter_queue(waiting->place, &gate, &queue) < 0)
		return false;
	was_free = take && is_free(&queue, waiting->signals, true);
	if (was_free || anyway) {
		if (queue.waiting > 0)
			queue.waiting--;
		if (queue.waiting == 0)
			queue.single = 0;
		leave_queue(&gate, &queue);
	} else {
		gate_leave(&gate);
	}
	return was_free;
}

static bool may_go(const struct waiting *waiting)
{
	struct queue queue;

	return gate_peek(waiting->place, &queue, sizeof queue) == 0 &&
	       is_free(&queue, waiting->signals, false);
}

/* Cancelled: a signal that was for this one is another's. */
static void cancelled(void *argument)
{
	struct waiting *waiting = argument;

	part(waiting, true, false);
	watch_end(&waiting->watch);
	sync_mutex_lock(waiting->mutex);
}

static int sleep_on(struct waiting *waiting, const struct deadline *deadline)
{
	int result = 0;

	watch_begin(&waiting->watch, waiting->place);
	while (!may_go(waiting) || !part(waiting, false, true)) {
		result = watch_wait(&waiting->watch, deadline, WATCH_CANCEL);
		if (result < 0)
			break;
	}
	if (result < 0 && part(waiting, true, true))
		result = 0;
	watch_end(&waiting->watch);
	return result;
}

static int wait_served(const struct views_place *place, pthread_mutex_t *mutex,
                       const struct deadline *deadline)
{
	struct waiting waiting = {.place = place, .mutex = mutex};
	int result, error;

	if (!deadline_is_valid(deadline))
		return EINVAL;
	result = join(&waiting);
	if (result < 0)
		return -result;
	error = sync_mutex_unlock(mutex);
	if (error) {
		part(&waiting, true, false);
		return error;
	}
	pthread_cleanup_push(cancelled, &waiting);
	result = sleep_on(&waiting, deadline);
	pthread_cleanup_pop(0);
	error = sync_mutex_lock(mutex);
	return error ? error : -result;
}

static void wake(struct queue *queue, bool all)
{
	queue->signals++;
	if (!all && !queue->single) {
		queue->single = 1;
		return;
	}
	queue->released = queue->signals;
	queue->single = 0;
}

static int signal_served(const struct views_place *place, bool all)
{
	struct queue queue;
	struct gate gate;
	int result;

	views_release();
	result = enter_queue(place, &gate, &queue);
	if (result < 0)
		return -result;
	if (queue.waiting == 0) {
		gate_leave(&gate);
		return 0;
	}
	wake(&queue, all);
	return -leave_queue(&gate, &queue);
}

/* A condition of this process alone, with a mutex that is ours. The one behind needs one of its own
 * kind; and as who signals does not have that one, a signal may come just before the wait: so it
 * does not last long, and comes back as if by chance (POSIX: spurious wakeups). */
struct mixed {
	pthread_mutex_t stand_in;
	pthread_mutex_t *mutex;
};

enum { MIXED_NS = 5000000, SECOND_NS = 1000000000 };

static void leave_mixed(void *argument)
{
	struct mixed *mixed = argument;

	REAL(pthread_mutex_unlock)(&mixed->stand_in);
	sync_mutex_lock(mixed->mutex);
}

static int wait_mixed(pthread_cond_t *condition, pthread_mutex_t *mutex,
                      const struct deadline *deadline)
{
	struct mixed mixed = {PTHREAD_MUTEX_INITIALIZER, mutex};
	long most = deadline_left(deadline, MIXED_NS);
	struct timespec end;
	int result;

	if (!deadline_is_valid(deadline))
		return EINVAL;
	sys_call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&end, 0, 0, 0, 0);
	end.tv_nsec += most;
	end.tv_sec += end.tv_nsec / SECOND_NS;
	end.tv_nsec %= SECOND_NS;
	REAL(pthread_mutex_lock)(&mixed.stand_in);
	result = sync_mutex_unlock(mutex);
	if (result) {
		REAL(pthread_mutex_unlock)(&mixed.stand_in);
		return result;
	}
	pthread_cleanup_push(leave_mixed, &mixed);
	result = REAL(pthread_cond_clockwait)(condition, &mixed.stand_in, CLOCK_MONOTONIC, &end);
	pthread_cleanup_pop(0);
	REAL(pthread_mutex_unlock)(&mixed.stand_in);
	if (result == ETIMEDOUT && deadline_left(deadline, 1) > 0)
		result = 0;
	most = sync_mutex_lock(mutex);
	return most ? (int)most : result;
}

SYNCED(pthread_cond_init,
       (pthread_cond_t *condition, const pthread_condattr_t *attributes),
       (condition, attributes))
{
	struct views_place place;
	int error = REAL(pthread_cond_init)(condition, attributes);

	if (error || !is_served(condition, &place))
		return error;
	error = -claims_probe(&place);
	return error ? error : -views_push(condition, sizeof *condition);
}

SYNCED(pthread_cond_destroy, (pthread_cond_t *condition), (condition))
{
	struct views_place place;

	/* glibc's would wait for waiters that it takes ours for. */
	if (is_served(condition, &place))
		return 0;
	return REAL(pthread_cond_destroy)(condition);
}

SYNCED(pthread_cond_wait,
       (pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex),
       (condition, mutex))
{
	struct deadline never = {CLOCK_REALTIME, NULL};
	struct views_place place;

	if (!is_served(condition, &place)) {
		if (views_any() && sync_mutex_is_served(mutex))
			return wait_mixed(condition, mutex, &never);
		return REAL(pthread_cond_wait)(condition, mutex);
	}
	return wait_served(&place, mutex, &never);
}

SYNCED(pthread_cond_timedwait,
       (pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
        const struct timespec *restrict deadline),
       (condition, mutex, deadline))
{
	struct deadline when = {CLOCK_REALTIME, deadline};
	struct views_place place;

	if (condition->__data.__wrefs & COND_MONOTONIC)
		when.clock = CLOCK_MONOTONIC;
	if (!is_served(condition, &place)) {
		if (views_any() && sync_mutex_is_served(mutex))
			return wait_mixed(condition, mutex, &when);
		return REAL(pthread_cond_timedwait)(condition, mutex, deadline);
	}
	return wait_served(&place, mutex, &when);
}

SYNCED(pthread_cond_clockwait,
       (pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
        clockid_t clock, const struct timespec *restrict deadline),
       (condition, mutex, clock, deadline))
{
	struct deadline when = {clock, deadline};
	struct views_place place;

	if (!is_served(condition, &place)) {
		if (views_any() && sync_mutex_is_served(mutex))
			return wait_mixed(condition, mutex, &when);
		return REAL(pthread_cond_clockwait)(condition, mutex, clock, deadline);
	}
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
		return EINVAL;
	return wait_served(&place, mutex, &when);
}

SYNCED(pthread_cond_signal, (pthread_cond_t *condition), (condition))
{
	struct views_place place;

	if (!is_served(condition, &place))
		return REAL(pthread_cond_signal)(condition);
	return signal_served(&place, false);
}

SYNCED(pthread_cond_broadcast, (pthread_cond_t *condition), (condition))
{
	struct views_place place;

	if (!is_served(condition, &place))
		return REAL(pthread_cond_broadcast)(condition);
	return signal_served(&place, true);
}
