/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* System calls withheld by the kernel (seccomp). Each ends the program with one line when the
 * host refuses. */
#ifndef SHMEMU_CLI_FILTER_H
#define SHMEMU_CLI_FILTER_H

#include <stdbool.h>

enum { FILTER_TRAP = -1 }; /* in place of an errno: a SIGSYS */

/* `what` is one of cli/filter.c's. `*filter`, NULL at first, is the filter that is made of all;
 * `is_privileged`: it can be loaded without no_new_privs. */
void filter_add(void **filter, bool is_privileged, const char *what, int error);

/* Loads it, if there is any, and forgets it. */
void filter_load(void **filter);

#endif
