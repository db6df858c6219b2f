/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The socket door: the store for programs with the library. */
#ifndef SHMEMU_FUSE_DOOR_H
#define SHMEMU_FUSE_DOOR_H

#include <stdint.h>

struct door;
struct loop;
struct store;

/* Serves the store (borrowed) on a listening SEQPACKET socket (taken) from the loop (borrowed).
 * `idle_seconds` after the last connection and the last name are gone the loop is stopped; 0:
 * never. Returns 0 or -errno. */
int door_new(struct door **ret_door, struct loop *loop, struct store *store, int listener,
             unsigned idle_seconds);

/* Closes all connections. Accepts and returns NULL. */
struct door *door_free(struct door *door);

#endif
