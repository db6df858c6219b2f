/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Semaphores whose memory is emulated, named ones too: the value is where glibc's sem_t has it, in
 * the file. */
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#include "preload/export.h"
#include "preload/sync.h"
#include "preload/taken.h"

static bool is_served(const sem_t *sem, struct views_place *ret_place)
{
	struct sync_semaphore words;

	if (!views_any())
		return false;
	memcpy(&words, sem, sizeof words);
	if (!words.shared || !views_find(sem, sizeof *sem, ret_place))
		return false;
	taken_note(TRACED_EMULATED);
	return true;
}

/* Changes the value by `step` if it is not 0 and to be taken from. Returns 0, -EAGAIN, -EOVERFLOW
 * or what went wrong. */
static int change(const struct views_place *place, int step)
{
	struct gate gate;
	unsigned value;
	int result = gate_enter(&gate, place);

	if (result < 0)
		return result;
	result = gate_read(&gate, &value, sizeof value);
	if (result == 0 && step < 0 && value == 0)
		result = -EAGAIN;
	if (result == 0 && step > 0 && value >= SEM_VALUE_MAX)
		result = -EOVERFLOW;
	if (result == 0) {
		value += (unsigned)step;
		result = gate_write(&gate, &value, sizeof value);
	}
	gate_leave(&gate);
	return result;
}

static int take(const struct views_place *place)
{
	unsigned value;
	int result = gate_peek(place, &value, sizeof value);

	if (result == 0 && value == 0)
		return -EAGAIN;
	return result < 0 ? result : change(place, -1);
}

static void end_watch(void *watch)
{
	watch_end(watch);
}

static int wait_long(const struct views_place *place, const struct deadline *deadline)
{
	struct watch watch;
	int result;

	watch_begin(&watch, place);
	pthread_cleanup_push(end_watch, &watch);
	while ((result = take(place)) == -EAGAIN) {
		result = watch_wait(&watch, deadline, WATCH_CANCEL | WATCH_SIGNALS);
		if (result < 0)
			break;
	}
	pthread_cleanup_pop(1);
	return result;
}

static int wait_served(const struct views_place *place, const struct deadline *deadline)
{
	int result;

	pthread_testcancel();
	if (!deadline_is_valid(deadline))
		return -EINVAL;
	result = change(place, -1);
	if (result == -EAGAIN)
		result = wait_long(place, deadline);
	if (result == 0)
		views_acquire();
	return result;
}

SYNCED(sem_init, (sem_t *sem, int pshared, unsigned value), (sem, pshared, value))
{
	struct views_place place;
	int result = REAL(sem_init)(sem, pshared, value);

	if (result < 0 || !is_served(sem, &place))
		return result;
	result = claims_probe(&place);
	return export_result(result < 0 ? result : views_push(sem, sizeof *sem));
}

SYNCED(sem_wait, (sem_t *sem), (sem))
{
	struct deadline never = {CLOCK_REALTIME, NULL};
	struct views_place place;

	if (!is_served(sem, &place))
		return REAL(sem_wait)(sem);
	return export_result(wait_served(&place, &never));
}

SYNCED(sem_timedwait,
       (sem_t *restrict sem, const struct timespec *restrict deadline),
       (sem, deadline))
{
	struct deadline when = {CLOCK_REALTIME, deadline};
	struct views_place place;

	if (!is_served(sem, &place))
		return REAL(sem_timedwait)(sem, deadline);
	return export_result(wait_served(&place, &when));
}

SYNCED(sem_clockwait,
       (sem_t *restrict sem, clockid_t clock, const struct timespec *restrict deadline),
       (sem, clock, deadline))
{
	struct deadline when = {clock, deadline};
	struct views_place place;

	if (!is_served(sem, &place))
		return REAL(sem_clockwait)(sem, clock, deadline);
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
		return export_result(-EINVAL);
	return export_result(wait_served(&place, &when));
}

SYNCED(sem_trywait, (sem_t *sem), (sem))
{
	struct views_place place;
	int result;

	if (!is_served(sem, &place))
		return REAL(sem_trywait)(sem);
	result = take(&place);
	if (result == 0)
		views_acquire();
	return export_result(result);
}

SYNCED(sem_post, (sem_t *sem), (sem))
{
	struct views_place place;

	if (!is_served(sem, &place))
		return REAL(sem_post)(sem);
	views_release();
	return export_result(change(&place, 1));
}

SYNCED(sem_getvalue, (sem_t *restrict sem, int *restrict ret_value), (sem, ret_value))
{
	struct views_place place;
	int value, result;

	if (!is_served(sem, &place))
		return REAL(sem_getvalue)(sem, ret_value);
	result = gate_peek(&place, &value, sizeof value);
	if (result == 0)
		*ret_value = value;
	return export_result(result);
}
