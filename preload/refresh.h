/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When shared views and their files meet: at points, at fork, and every few milliseconds. */
#ifndef SHMEMU_PRELOAD_REFRESH_H
#define SHMEMU_PRELOAD_REFRESH_H

/* What there is to do after a shared view has been made: starts the thread. The lock is not
 * held. */
void refresh_begin(void);

/* views_release and views_acquire with the lock held. */
void refresh_release_locked(void);
void refresh_acquire_locked(void);

/* With the lock held: before a fork, and after it in the child. */
void refresh_before_fork(void);
void refresh_after_fork(void);

#endif
