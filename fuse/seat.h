/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A daemon's seat: the folder it serves, locked, with a socket that listens. */
#ifndef SHMEMU_FUSE_SEAT_H
#define SHMEMU_FUSE_SEAT_H

#include <stdbool.h>

struct seat {
	int folder;   /* O_PATH, owned */
	int lock;     /* owned; held as long as it is open */
	bool is_lent; /* the socket is of whoever started us, who listens on when we are gone */
};

/* Takes the folder, making it if it is not there: for root open to all (0755), as /dev/shm is,
 * else the user's own (0700). Returns 0 or -errno:
 * -EADDRINUSE when another daemon serves it, -EACCES when it is not ours alone to write. */
int seat_take(struct seat *seat, const char *path);

/* Listens in the folder (O_PATH, borrowed), whose lock the caller's keeper has. Returns a SEQPACKET
 * socket owned by the caller, or -errno. */
int seat_listen(int folder);

/* Has the seat do with a socket (borrowed) that listens. Returns 0 or -errno: -EADDRNOTAVAIL
 * when it is not the folder's, where clients look for it. */
int seat_borrow(struct seat *seat, int sock);

/* Removes the socket, unless it is lent: no client finds it any more. */
void seat_hide(const struct seat *seat);

/* Gives the folder up. */
void seat_leave(struct seat *seat);

#endif
