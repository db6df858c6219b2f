/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors of the library's own that must survive programs that close everything: to the program
 * their numbers are not open (close is EBADF, close_range and closefrom go around them), and where
 * it puts a file of its own there by dup2, ours moves. */
#ifndef SHMEMU_PRELOAD_GUARD_H
#define SHMEMU_PRELOAD_GUARD_H

#include <stdbool.h>

/* While one of these is called, or a guarded descriptor is used, the lock is held: under it they
 * are moved.
 *
 * Moves *place, owned by the caller, away from the low numbers, close-on-exec, and guards it:
 * *place is where the number is kept, and is changed when it has to move. Returns 0, or -errno and
 * then *place is as it was. */
int guard_keep(int *place);

/* The same with a copy of a descriptor, which is put at *place. */
int guard_copy(int fd, int *place);

/* Closes it and puts -1 there. */
void guard_close(int *place);

/* It is not ours any more: the program closed it by a way that can't be seen. -1 is put there. */
void guard_forget(int *place);

bool guard_owns(int fd);

/* close(2), with errno, of a number that is the program's; EBADF for ours. */
int guard_close_theirs(int fd);

#endif
