/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A futex of our own: pthread_mutex_lock is a call that the library wraps. Around fork it is held,
 * so that the child has tables that are whole. */
#include "preload/lock.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/sys.h"
#include "preload/refresh.h"
#include "preload/sync.h"

enum { FREE, TAKEN, WAITED_FOR };

static atomic_int lock;
static uint64_t mask_at_fork; /* under the lock */

void lock_enter(void)
{
	int was = FREE;

	if (atomic_compare_exchange_strong(&lock, &was, TAKEN))
		return;
	while (atomic_exchange(&lock, WAITED_FOR) != FREE)
		sys_call(SYS_futex, (long)&lock, FUTEX_WAIT_PRIVATE, WAITED_FOR, 0, 0, 0);
}

void lock_exit(void)
{
	if (atomic_exchange(&lock, FREE) == WAITED_FOR)
		sys_call(SYS_futex, (long)&lock, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}

uint64_t lock_take(void)
{
	const uint64_t all = UINT64_MAX;
	uint64_t before;

	sys_sigmask(SIG_SETMASK, &all, &before);
	lock_enter();
	return before;
}

void lock_leave(uint64_t before)
{
	lock_exit();
	sys_sigmask(SIG_SETMASK, &before, NULL);
}

static void before_fork(void)
{
	uint64_t before = lock_take();

	mask_at_fork = before;
	refresh_before_fork();
}

static void after_fork_parent(void)
{
	lock_leave(mask_at_fork);
}

static void after_fork_child(void)
{
	claims_after_fork();
	refresh_after_fork();
	/* Who waited for it has stayed behind. */
	atomic_store(&lock, TAKEN);
	lock_leave(mask_at_fork);
	refresh_begin();
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}
