/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory that we share with clients. */
#ifndef SHMEMU_FUSE_SEALED_H
#define SHMEMU_FUSE_SEALED_H

#include <stddef.h>

/* A file of so many bytes, zeros, from memfd_create(2), which no client can make smaller: that
 * would be our end. A descriptor that is the caller's, or -EOPNOTSUPP. */
int sealed_new(const char *name, size_t size);

#endif
