/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What calls that were shown have led to: later ones on it are shown as well. As much as there is
 * room for; what is forgotten is not shown. */
#ifndef SHMEMU_TRACE_SEEN_H
#define SHMEMU_TRACE_SEEN_H

#include <stdbool.h>

void seen_place(const void *address);
bool seen_has_place(const void *address);
void seen_forget_place(const void *address);

/* The file that a descriptor is. */
void seen_file(int fd);
bool seen_has_file(int fd);

#endif
