/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* uthash, as we use it. */
#ifndef SHMEMU_FUSE_HASH_H
#define SHMEMU_FUSE_HASH_H

/* Out of memory is an error to report, not a reason to exit: an element that could not be added has
 * no hh.tbl then. */
#define HASH_NONFATAL_OOM 1
/* A hundred thousand names are nothing unusual: fewer steps of growing. */
#define HASH_INITIAL_NUM_BUCKETS 1024U
#define HASH_INITIAL_NUM_BUCKETS_LOG2 10U
#include <uthash.h>

/* Its macros fall through on purpose, which clang lays to the file that they are used in. */
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"

#endif
