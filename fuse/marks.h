/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker's side of base/marks.h. */
#ifndef SHMEMU_FUSE_MARKS_H
#define SHMEMU_FUSE_MARKS_H

#include <stddef.h>

#include "base/marks.h"

/* Makes them, and the memory that clients are given: *ret_file, owned by the caller, through which
 * nobody can write. To be called by the process's first thread, once. 0 or -errno: this host has
 * not what it takes. */
int marks_new(struct marks **ret_marks, int *ret_file);

/* A name of the root folder is about to lead elsewhere. */
void marks_change(struct marks *marks, const char *name, size_t length);
/* Whatever is remembered is to be asked anew. */
void marks_change_all(struct marks *marks);

#endif
