/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Process-shared mutexes in emulated memory. A mutex is held by whoever has the lock on its place;
 * its bytes, which are glibc's, say what that does not: that it was owned when the lock came free,
 * so that its owner has died. */
#include <limits.h>
#include <pthread.h>

#include "base/sys.h"
#include "preload/export.h"
#include "preload/lock.h"
#include "preload/sync.h"

/* glibc's, in __kind and __owner. */
enum {
	KIND_TYPE = 3,
	KIND_ROBUST = 16,
	KIND_SHARED = 128,
	KIND_DESTROYED = -1,
	OWNER_INCONSISTENT = INT_MAX,
	OWNER_NOT_RECOVERABLE = INT_MAX - 1,
};

static bool is_served(const pthread_mutex_t *mutex, struct views_place *ret_place)
{
	return views_any() && (mutex->__data.__kind & KIND_SHARED) &&
	       views_find(mutex, sizeof *mutex, ret_place);
}

bool sync_mutex_is_served(const pthread_mutex_t *mutex)
{
	struct views_place place;

	return is_served(mutex, &place);
}

static int type_of(const pthread_mutex_t *mutex)
{
	return mutex->__data.__kind & KIND_TYPE;
}

static bool is_robust(const pthread_mutex_t *mutex)
{
	return mutex->__data.__kind & KIND_ROBUST;
}

/* Notes who owns it; all else stays. */
static int write_owner(const struct claim *claim, off_t offset, pthread_mutex_t *image, int owner)
{
	bool is_owned = owner != 0 && owner != OWNER_NOT_RECOVERABLE;

	image->__data.__owner = owner;
	image->__data.__lock = is_owned;
	image->__data.__nusers = is_owned;
	return claim_write_locked(claim, offset, image, offsetof(pthread_mutex_t, __data.__kind));
}

static int change_owner(const struct claim *claim, off_t offset, int owner)
{
	pthread_mutex_t image;
	uint64_t before = lock_take();
	int result = claim_read_locked(claim, offset, &image, sizeof image);

	if (result == 0)
		result = write_owner(claim, offset, &image, owner);
	lock_leave(before);
	return result;
}

/* With the lock: what the mutex says of its last owner. Returns 0, -EOWNERDEAD, with which it is
 * held too, or what keeps it from being held. */
static int enter_locked(struct claim *claim, off_t offset, const pthread_mutex_t *mutex, pid_t self)
{
	pthread_mutex_t image;
	int result = claim_read_locked(claim, offset, &image, sizeof image);
	bool is_left;

	if (result < 0)
		return result;
	if (image.__data.__kind == KIND_DESTROYED)
		return -EINVAL;
	claim->robust = is_robust(mutex);
	if (claim->robust && image.__data.__owner == OWNER_NOT_RECOVERABLE)
		return -ENOTRECOVERABLE;
	is_left = claim->robust && image.__data.__owner != 0;
	claim->inconsistent = is_left;
	result = write_owner(claim, offset, &image, is_left ? OWNER_INCONSISTENT : self);
	if (result < 0)
		return result;
	return is_left ? -EOWNERDEAD : 0;
}

static int enter(struct claim *claim, off_t offset, const pthread_mutex_t *mutex, pid_t self)
{
	uint64_t before = lock_take();
	int result = enter_locked(claim, offset, mutex, self);

	lock_leave(before);
	return result;
}

static void leave(struct claim *claim, off_t offset)
{
	claim_try(claim, offset, F_UNLCK);
	claims_give(claim);
}

/* What a thread that has it already is told. Returns 1: go on and wait, for itself. */
static int lock_own(struct claim *own, const pthread_mutex_t *mutex, bool is_try)
{
	switch (type_of(mutex)) {
	case PTHREAD_MUTEX_RECURSIVE:
		if (own->depth == UINT_MAX - 1)
			return -EAGAIN;
		own->depth++;
		return 0;
	case PTHREAD_MUTEX_ERRORCHECK:
		return is_try && !is_robust(mutex) ? -EBUSY : -EDEADLK;
	default:
		return is_try ? -EBUSY : 1;
	}
}

static int lock_served(const pthread_mutex_t *mutex, const struct views_place *place, bool is_try,
                       const struct deadline *deadline)
{
	pid_t self = sync_thread();
	struct claim *claim = claims_find(place, self);
	int result = claim ? lock_own(claim, mutex, is_try) : 1;

	if (result <= 0)
		return result;
	result = claims_take(place, &claim);
	if (result < 0)
		return result;
	result = is_try ? claim_try(claim, place->offset, F_WRLCK) :
	                  claim_wait(claim, place->offset, F_WRLCK, deadline);
	if (result < 0) {
		claims_give(claim);
		return result == -EAGAIN ? -EBUSY : result;
	}
	result = enter(claim, place->offset, mutex, self);
	if (result < 0 && result != -EOWNERDEAD) {
		leave(claim, place->offset);
		return result;
	}
	claim_keep(claim, place->offset, F_WRLCK, self);
	views_acquire();
	return result;
}

/* One that another thread has locked can be unlocked, as glibc has it, unless it is of a type that
 * looks who it is; one that another process has locked can't. */
static int unlock_served(const pthread_mutex_t *mutex, const struct views_place *place)
{
	struct claim *claim = claims_find(place, sync_thread());

	if (!claim) {
		if (is_robust(mutex) || (type_of(mutex) != PTHREAD_MUTEX_NORMAL &&
		                         type_of(mutex) != PTHREAD_MUTEX_ADAPTIVE_NP))
			return -EPERM;
		claim = claims_find(place, 0);
		if (!claim)
			return -EPERM;
	}
	if (claim->depth) {
		claim->depth--;
		return 0;
	}
	views_release();
	change_owner(claim, place->offset, claim->inconsistent ? OWNER_NOT_RECOVERABLE : 0);
	claims_give(claim);
	return 0;
}

static int init_served(pthread_mutex_t *mutex, const struct views_place *place)
{
	int result = claims_probe(place);

	if (result < 0)
		return result;
	claims_drop(place);
	return views_push(mutex, sizeof *mutex);
}

static int destroy_served(pthread_mutex_t *mutex, const struct views_place *place)
{
	struct claim *claim;
	int result = claims_take(place, &claim);

	if (result < 0)
		return result;
	result = claim_try(claim, place->offset, F_WRLCK);
	if (result == -EAGAIN && !is_robust(mutex)) {
		claims_give(claim);
		return -EBUSY;
	}
	mutex->__data.__kind = KIND_DESTROYED;
	views_push(mutex, sizeof *mutex);
	leave(claim, place->offset);
	claims_drop(place);
	return 0;
}

SYNCED(pthread_mutex_init,
       (pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes),
       (mutex, attributes))
{
	struct views_place place;
	int error = REAL(pthread_mutex_init)(mutex, attributes);

	if (error || !is_served(mutex, &place))
		return error;
	return -init_served(mutex, &place);
}

SYNCED(pthread_mutex_destroy, (pthread_mutex_t *mutex), (mutex))
{
	struct views_place place;

	if (!is_served(mutex, &place))
		return REAL(pthread_mutex_destroy)(mutex);
	return -destroy_served(mutex, &place);
}

int sync_mutex_lock(pthread_mutex_t *mutex)
{
	struct views_place place;

	if (!is_served(mutex, &place))
		return REAL(pthread_mutex_lock)(mutex);
	return -lock_served(mutex, &place, false, NULL);
}

SYNCED(pthread_mutex_lock, (pthread_mutex_t *mutex), (mutex))
{
	return sync_mutex_lock(mutex);
}

SYNCED(pthread_mutex_trylock, (pthread_mutex_t *mutex), (mutex))
{
	struct views_place place;

	if (!is_served(mutex, &place))
		return REAL(pthread_mutex_trylock)(mutex);
	return -lock_served(mutex, &place, true, NULL);
}

SYNCED(pthread_mutex_timedlock,
       (pthread_mutex_t *restrict mutex, const struct timespec *restrict deadline),
       (mutex, deadline))
{
	struct deadline when = {CLOCK_REALTIME, deadline};
	struct views_place place;

	if (!is_served(mutex, &place))
		return REAL(pthread_mutex_timedlock)(mutex, deadline);
	return -lock_served(mutex, &place, false, &when);
}

SYNCED(pthread_mutex_clocklock,
       (pthread_mutex_t *restrict mutex, clockid_t clock,
        const struct timespec *restrict deadline),
       (mutex, clock, deadline))
{
	struct deadline when = {clock, deadline};
	struct views_place place;

	if (!is_served(mutex, &place))
		return REAL(pthread_mutex_clocklock)(mutex, clock, deadline);
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
		return EINVAL;
	return -lock_served(mutex, &place, false, &when);
}

int sync_mutex_unlock(pthread_mutex_t *mutex)
{
	struct views_place place;

	if (!is_served(mutex, &place))
		return REAL(pthread_mutex_unlock)(mutex);
	return -unlock_served(mutex, &place);
}

SYNCED(pthread_mutex_unlock, (pthread_mutex_t *mutex), (mutex))
{
	return sync_mutex_unlock(mutex);
}

SYNCED(pthread_mutex_consistent, (pthread_mutex_t *mutex), (mutex))
{
	struct views_place place;
	struct claim *claim;

	if (!is_served(mutex, &place))
		return REAL(pthread_mutex_consistent)(mutex);
	claim = claims_find(&place, 0);
	if (!claim || !claim->inconsistent)
		return EINVAL;
	claim->inconsistent = false;
	return -change_owner(claim, place.offset, claim->holder);
}
