/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Futexes of our own: pthread_mutex_lock is a call that the library wraps. Around fork both are
 * held, so that the child has tables that are whole. */
#include "preload/lock.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/sys.h"
#include "preload/mq.h"
#include "preload/pool.h"
#include "preload/presence.h"
#include "preload/real.h"
#include "preload/refresh.h"
#include "preload/sync.h"

enum { FREE, TAKEN, WAITED_FOR };

static atomic_int lock, attachments_lock;
static _Atomic pid_t attachments_holder;
static uint64_t mask_at_fork; /* under both */

static void enter(atomic_int *which)
{
	int was = FREE;

	if (atomic_compare_exchange_strong(which, &was, TAKEN))
		return;
	while (atomic_exchange(which, WAITED_FOR) != FREE)
		sys_call(SYS_futex, (long)which, FUTEX_WAIT_PRIVATE, WAITED_FOR, 0, 0, 0);
}

static void leave(atomic_int *which)
{
	if (atomic_exchange(which, FREE) == WAITED_FOR)
		sys_call(SYS_futex, (long)which, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}

void lock_enter(void)
{
	enter(&lock);
}

void lock_exit(void)
{
	leave(&lock);
}

static uint64_t block_signals(void)
{
	const uint64_t all = UINT64_MAX;
	uint64_t before;

	sys_sigmask(SIG_SETMASK, &all, &before);
	return before;
}

uint64_t lock_take(void)
{
	uint64_t before = block_signals();

	lock_enter();
	return before;
}

void lock_leave(uint64_t before)
{
	lock_exit();
	sys_sigmask(SIG_SETMASK, &before, NULL);
}

uint64_t lock_take_attachments(void)
{
	uint64_t before = block_signals();

	enter(&attachments_lock);
	atomic_store(&attachments_holder, sync_thread());
	return before;
}

void lock_leave_attachments(uint64_t before)
{
	atomic_store(&attachments_holder, 0);
	leave(&attachments_lock);
	sys_sigmask(SIG_SETMASK, &before, NULL);
}

bool lock_has_attachments(void)
{
	return atomic_load(&attachments_holder) == sync_thread();
}

/* What a child calls first it would look for anew, each of them. */
static void find_for_children(void)
{
	(void)REAL(_exit);
	(void)REAL(close);
	(void)REAL(dup2);
}

/* Here and after, what is only looked at is not written to, and all is cold, so that it lies close:
 * each page that a child writes to is copied, and each that it runs is looked for, which costs more
 * than all else that is done. */
__attribute__((cold)) static void before_fork(void)
{
	uint64_t before = block_signals();

	find_for_children();
	enter(&attachments_lock);
	lock_enter();
	mask_at_fork = before;
	refresh_before_fork();
	presence_before_fork();
}

__attribute__((cold)) static void after_fork(void)
{
	uint64_t before = mask_at_fork;

	lock_exit();
	leave(&attachments_lock);
	sys_sigmask(SIG_SETMASK, &before, NULL);
}

__attribute__((cold)) static void after_fork_parent(void)
{
	presence_after_fork_parent();
	after_fork();
}

__attribute__((cold)) static void after_fork_child(void)
{
	claims_after_fork();
	refresh_after_fork();
	mq_notify_after_fork_child();
	pool_after_fork_child();
	presence_after_fork_child();
	/* Who waited for them has stayed behind. */
	atomic_store(&attachments_lock, TAKEN);
	atomic_store(&lock, TAKEN);
	after_fork();
	refresh_begin();
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}
