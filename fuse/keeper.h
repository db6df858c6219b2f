/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keeper: holds every descriptor that must outlive the worker, and sees to it that there is a
 * worker. */
#ifndef SHMEMU_FUSE_KEEPER_H
#define SHMEMU_FUSE_KEEPER_H

#include "base/huge.h"
#include "fuse/seat.h"

struct keeper_setup {
	char **argv;      /* the daemon's own, NULL-terminated: workers get it too */
	struct seat seat; /* taken */
	int listener;     /* taken; -1: the worker is to listen */
	const char *mountpoint; /* absolute, or NULL */
	enum huge huge;   /* of users' shares */
	void (*ready)(void *details); /* called once, when the first worker serves */
	void *details;
};

/* Starts workers until one says that all is over. Returns the exit status. */
int keeper_run(const struct keeper_setup *setup);

#endif
