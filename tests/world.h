/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Worlds: hosts that a program can be run on, each in a private folder. */
#ifndef SHMEMU_TESTS_WORLD_H
#define SHMEMU_TESTS_WORLD_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/wire.h"

enum { WORLD_NOBODY = 65534, WORLD_SKIP = 77, WORLD_SIGNAL = 1000, WORLD_TIMEOUT = -1 };

enum world_kind {
	WORLD_NATIVE,   /* a /dev/shm and an IPC of its own that are the kernel's; the library is
	                   not there */
	WORLD_SOCKET,   /* shmemu run, no /dev/shm, no FUSE */
	WORLD_EMBEDDED, /* the library alone; the daemon is started by the first call */
	WORLD_BARE,     /* likewise, under shmemu without nanvix: mappings are private memory, and
	                   the daemon's too */
	WORLD_MEMFD,    /* a daemon that holds memfds, started beforehand */
	WORLD_MOUNT,    /* a daemon that has mounted its store as well, with passthrough; no
	                   /dev/shm */
	WORLD_DIRECT,   /* likewise, without passthrough */
	WORLD_PLAIN,    /* a daemon that has mounted its store, with passthrough, on a /dev/shm of
	                   its own; the library is not there */
};

struct world {
	enum world_kind kind;
	uid_t uid;          /* of the programs */
	char folder[64];    /* private; programs can enter it and write to its tmp/ and trace */
	char library[256];
	pid_t daemon;       /* started by world_begin; 0: none */
	pid_t killer;       /* of its workers; 0: none */
	_Atomic unsigned *kills; /* how many it has killed, in memory that it shares; or NULL */
	int mounts;         /* the mount namespace that programs run in, or -1; owned */
	char problem[1024]; /* the first that went wrong; empty: nothing */
};

/* What a program did. Both texts are owned: run_deinit. */
struct run {
	int status; /* exit status, WORLD_SIGNAL + signal, or WORLD_TIMEOUT */
	char *output;
	char *errors;
};

/* What programs under the library go without besides: words of shmemu without, up to NULL; or NULL.
 */
extern const char *const *world_withheld;
/* Is the daemon one whose worker dies of itself (dying.c)? */
extern bool world_daemon_dies;

bool world_has_library(enum world_kind kind);
bool world_is_mounted(enum world_kind kind);
bool world_is_embedded(enum world_kind kind); /* the daemon is started by the first call */

/* Why there can be no such world here, or NULL. */
const char *world_obstacle(enum world_kind kind, uid_t uid);

/* Makes it. Whatever comes of it, world_end is to be called. */
void world_begin(struct world *world, enum world_kind kind, uid_t uid);

/* Ends all that runs in it, and removes it; what the daemon complained of is a problem. */
void world_end(struct world *world);

/* Runs one of the probes (argv[0] is its name), for a minute at most. */
void world_run(struct world *world, const char *const *argv, struct run *ret_run);
void run_deinit(struct run *run);

/* From now on, until the world's end or world_spare, the daemon's worker is killed again and again,
 * at random moments. */
void world_harass(struct world *world, unsigned seed);
void world_spare(struct world *world);

/* The daemon's counters, once all clients but us are gone. */
struct daemon_state {
	struct wire_status status;
	int descriptors; /* that it has open; -1: not told */
};

/* Returns whether it is to be had. */
bool world_daemon_state(struct world *world, struct daemon_state *ret_state);

/* The names that the daemon knows, each followed by a blank. Owned by the caller; NULL: none to be
 * had. */
char *world_names(struct world *world);

/* The objects of System V IPC and the queues that the daemon knows: of each "shm", "sem", "msg" or
 * "mq", its key or name, and its size, a blank after each. Owned by the caller; NULL: none to be
 * had. */
char *world_objects(struct world *world);

/* A text file in the world's folder, to be freed; NULL if it can't be read. */
char *world_read(const struct world *world, const char *name);

/* Notes what went wrong, if nothing has gone wrong before. */
void world_problem(struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
