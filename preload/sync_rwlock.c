/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Process-shared read-write locks in emulated memory: the kernel's locks on files are such, and
 * nothing need be written anywhere. Readers are preferred, as by default natively. */
#include <limits.h>
#include <pthread.h>

#include "base/sys.h"
#include "preload/export.h"
#include "preload/sync.h"

static bool is_served(const pthread_rwlock_t *lock, struct views_place *ret_place)
{
	return views_any() && lock->__data.__shared && views_find(lock, sizeof *lock, ret_place);
}

static int lock_served(const struct views_place *place, short kind, bool is_try,
                       const struct deadline *deadline)
{
	pid_t self = sync_thread();
	struct claim *claim = claims_find(place, self);
	int result;

	if (deadline && !deadline_is_valid(deadline))
		return EINVAL;
	if (claim && claim->kind == F_WRLCK)
		return is_try ? EBUSY : EDEADLK;
	if (claim && kind == F_RDLCK) {
		if (claim->depth == UINT_MAX)
			return EAGAIN;
		claim->depth++;
		return 0;
	}
	result = claims_take(place, &claim);
	if (result < 0)
		return -result;
	result = is_try ? claim_try(claim, place->offset, kind) :
	                  claim_wait(claim, place->offset, kind, deadline);
	if (result < 0) {
		claims_give(claim);
		return result == -EAGAIN ? EBUSY : -result;
	}
	claim_keep(claim, place->offset, kind, self);
	views_acquire();
	return 0;
}

static int unlock_served(const struct views_place *place)
{
	struct claim *claim = claims_find(place, sync_thread());

	if (!claim)
		claim = claims_find(place, 0);
	if (!claim)
		return EPERM;
	views_release();
	if (claim->depth)
		claim->depth--;
	else
		claims_give(claim);
	return 0;
}

SYNCED(pthread_rwlock_init,
       (pthread_rwlock_t *restrict lock, const pthread_rwlockattr_t *restrict attributes),
       (lock, attributes))
{
	struct views_place place;
	int error = REAL(pthread_rwlock_init)(lock, attributes);

	if (error || !is_served(lock, &place))
		return error;
	error = -claims_probe(&place);
	if (error)
		return error;
	claims_drop(&place);
	return -views_push(lock, sizeof *lock);
}

#define LOCK(name, parameters, arguments, kind, is_try, deadline)                                  \
	SYNCED(name, parameters, arguments)                                                        \
	{                                                                                          \
		struct views_place place;                                                          \
                                                                                                   \
		if (!is_served(lock, &place))                                                      \
			return REAL(name) arguments;                                        \
		return lock_served(&place, kind, is_try, deadline);                                \
	}

#define TIMED_LOCK(name, kind)                                                                     \
	LOCK(name, (pthread_rwlock_t *restrict lock, const struct timespec *restrict deadline),    \
	     (lock, deadline), kind, false, (&(struct deadline){CLOCK_REALTIME, deadline}))

#define CLOCK_LOCK(name, kind)                                                                     \
	SYNCED(name,                                                                               \
	       (pthread_rwlock_t *restrict lock, clockid_t clock,                                  \
	        const struct timespec *restrict deadline),                                         \
	       (lock, clock, deadline))                                                            \
	{                                                                                          \
		struct deadline when = {clock, deadline};                                          \
		struct views_place place;                                                          \
                                                                                                   \
		if (!is_served(lock, &place))                                                      \
			return REAL(name)(lock, clock, deadline);                           \
		if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)                           \
			return EINVAL;                                                             \
		return lock_served(&place, kind, false, &when);                                    \
	}

LOCK(pthread_rwlock_rdlock, (pthread_rwlock_t *lock), (lock), F_RDLCK, false, NULL)
LOCK(pthread_rwlock_wrlock, (pthread_rwlock_t *lock), (lock), F_WRLCK, false, NULL)
LOCK(pthread_rwlock_tryrdlock, (pthread_rwlock_t *lock), (lock), F_RDLCK, true, NULL)
LOCK(pthread_rwlock_trywrlock, (pthread_rwlock_t *lock), (lock), F_WRLCK, true, NULL)
TIMED_LOCK(pthread_rwlock_timedrdlock, F_RDLCK)
TIMED_LOCK(pthread_rwlock_timedwrlock, F_WRLCK)
CLOCK_LOCK(pthread_rwlock_clockrdlock, F_RDLCK)
CLOCK_LOCK(pthread_rwlock_clockwrlock, F_WRLCK)

SYNCED(pthread_rwlock_unlock, (pthread_rwlock_t *lock), (lock))
{
	struct views_place place;

	if (!is_served(lock, &place))
		return REAL(pthread_rwlock_unlock)(lock);
	return unlock_served(&place);
}
