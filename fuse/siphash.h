/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SipHash-2-4 (Aumasson, Bernstein 2012): nobody without the key can tell what it will be. */
#ifndef SHMEMU_FUSE_SIPHASH_H
#define SHMEMU_FUSE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* On hosts of little-endian order, which all of ours are. */
uint64_t siphash(const uint64_t key[static 2], const void *bytes, size_t size);

#endif
