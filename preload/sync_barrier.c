/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Process-shared barriers and spin locks in emulated memory. */
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "base/sys.h"
#include "preload/export.h"
#include "preload/sync.h"

/* As glibc has it, but that `out` counts who is free to go and has not gone. */
struct barrier {
	unsigned in;    /* how many have come in this round */
	unsigned round; /* goes round */
	unsigned count;
	int shared;
	unsigned out;
};

_Static_assert(sizeof(struct barrier) <= sizeof(pthread_barrier_t), "it has room");

enum { STRAGGLERS_LOOKS = 500, STRAGGLERS_NS = 2000000 };

static bool is_served(const pthread_barrier_t *barrier, struct views_place *ret_place)
{
	struct barrier known;

	if (!views_any())
		return false;
	memcpy(&known, barrier, sizeof known);
	return known.shared && views_find(barrier, sizeof *barrier, ret_place);
}

/* Returns 1 for the last to come, 0 for others, or -errno. */
static int arrive(const struct views_place *place, unsigned *ret_round)
{
	struct barrier state;
	struct gate gate;
	int result = gate_enter(&gate, place);
	bool is_last = false;

	if (result < 0)
		return result;
	result = gate_read(&gate, &state, sizeof state);
	if (result == 0) {
		*ret_round = state.round;
		is_last = ++state.in >= state.count;
		if (is_last) {
			state.out += state.in - 1;
			state.in = 0;
			state.round++;
		}
		result = gate_write(&gate, &state, sizeof state);
	}
	gate_leave(&gate);
	return result < 0 ? result : is_last;
}

static bool is_over(const struct views_place *place, unsigned round)
{
	struct barrier state;

	return gate_peek(place, &state, sizeof state) == 0 && state.round != round;
}

static void depart(const struct views_place *place)
{
	struct barrier state;
	struct gate gate;

	if (gate_enter(&gate, place) < 0)
		return;
	if (gate_read(&gate, &state, sizeof state) == 0 && state.out > 0) {
		state.out--;
		gate_write(&gate, &state, sizeof state);
	}
	gate_leave(&gate);
}

static int wait_served(const struct views_place *place)
{
	static const struct deadline never = {CLOCK_REALTIME, NULL};
	struct watch watch;
	unsigned round = 0;
	int result;

	views_release();
	result = arrive(place, &round);
	if (result < 0)
		return -result;
	if (result == 0) {
		watch_begin(&watch, place);
		while (!is_over(place, round))
			watch_wait(&watch, &never, 0);
		watch_end(&watch);
		depart(place);
	}
	views_acquire();
	return result ? PTHREAD_BARRIER_SERIAL_THREAD : 0;
}

/* What is made there next must not be taken by stragglers for the round that they wait in. Who was
 * killed never goes: so not for ever. */
static void await_stragglers(const struct views_place *place)
{
	const struct timespec pause = {0, STRAGGLERS_NS};
	struct barrier state;

	for (int i = 0; i < STRAGGLERS_LOOKS; i++) {
		if (gate_peek(place, &state, sizeof state) < 0 || state.out == 0)
			return;
		sys_poll(NULL, 0, &pause);
	}
}

SYNCED(pthread_barrier_init,
       (pthread_barrier_t *restrict barrier,
        const pthread_barrierattr_t *restrict attributes, unsigned count),
       (barrier, attributes, count))
{
	struct views_place place;
	int error = REAL(pthread_barrier_init)(barrier, attributes, count);

	if (error || !is_served(barrier, &place))
		return error;
	error = -claims_probe(&place);
	return error ? error : -views_push(barrier, sizeof *barrier);
}

SYNCED(pthread_barrier_destroy, (pthread_barrier_t *barrier), (barrier))
{
	struct views_place place;

	if (!is_served(barrier, &place))
		return REAL(pthread_barrier_destroy)(barrier);
	await_stragglers(&place);
	return 0;
}

SYNCED(pthread_barrier_wait, (pthread_barrier_t *barrier), (barrier))
{
	struct views_place place;

	if (!is_served(barrier, &place))
		return REAL(pthread_barrier_wait)(barrier);
	return wait_served(&place);
}

/* A spin lock does not say whether it is shared: one in shared memory is. */
static bool is_spin_served(pthread_spinlock_t *lock, struct views_place *ret_place)
{
	return views_shared_any() &&
	       views_find((const void *)(uintptr_t)lock, sizeof *lock, ret_place);
}

static int spin(const struct views_place *place, bool is_try)
{
	struct claim *claim;
	int result = claims_take(place, &claim);

	if (result < 0)
		return -result;
	result = is_try ? claim_try(claim, place->offset, F_WRLCK) :
	                  claim_wait(claim, place->offset, F_WRLCK, NULL);
	if (result < 0) {
		claims_give(claim);
		return result == -EAGAIN ? EBUSY : -result;
	}
	claim_keep(claim, place->offset, F_WRLCK, sync_thread());
	views_acquire();
	return 0;
}

SYNCED(pthread_spin_init, (pthread_spinlock_t *lock, int shared), (lock, shared))
{
	struct views_place place;
	int error = REAL(pthread_spin_init)(lock, shared);

	if (error || !is_spin_served(lock, &place))
		return error;
	claims_drop(&place);
	return -claims_probe(&place);
}

SYNCED(pthread_spin_lock, (pthread_spinlock_t *lock), (lock))
{
	struct views_place place;

	if (!is_spin_served(lock, &place))
		return REAL(pthread_spin_lock)(lock);
	return spin(&place, false);
}

SYNCED(pthread_spin_trylock, (pthread_spinlock_t *lock), (lock))
{
	struct views_place place;

	if (!is_spin_served(lock, &place))
		return REAL(pthread_spin_trylock)(lock);
	return spin(&place, true);
}

SYNCED(pthread_spin_unlock, (pthread_spinlock_t *lock), (lock))
{
	struct views_place place;
	struct claim *claim;

	if (!is_spin_served(lock, &place))
		return REAL(pthread_spin_unlock)(lock);
	views_release();
	claim = claims_find(&place, sync_thread());
	if (!claim)
		claim = claims_find(&place, 0);
	if (claim)
		claims_give(claim);
	return 0;
}
