/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Queues and sets of semaphores that this process has as memory, and works on without asking:
 * base/slots.h, base/semwords.h. What can't be done so, for whatever reason, is SHARED_ASK: the
 * daemon is asked then, as if there were none of this. Addresses are the program's, and -EFAULT is
 * for those that lead nowhere. */
#ifndef SHMEMU_PRELOAD_SHARED_H
#define SHMEMU_PRELOAD_SHARED_H

#include <stdbool.h>
#include <sys/sem.h>

#include "base/client_ipc.h"
#include "base/queue.h"

enum {
	SHARED_ASK = 1, /* no errno */
	SHARED_OPERATIONS_MAX = 8,
};

/* Which object. */
struct shared_key {
	enum wire_family family;
	uint64_t number;                 /* the id; MQ: the handle's number */
	const struct wire_handle *queue; /* MQ: borrowed; else NULL */
};

/* How long a call waits. */
struct shared_wait {
	bool never;            /* -EAGAIN at once, ... */
	int fd;                /* ... as if this one's O_NONBLOCK says so; -1: there is none */
	bool asks;             /* waits at the daemon: for what has a deadline */
	enum client_wait how;
	int64_t since;         /* out: SHARED_ASK came after sleeping, from then on
	                          (wire_ipc.since): the daemon puts us in line accordingly, and
	                          knows what was removed meanwhile; 0: at once */
};

/* semop(2) of up to SHARED_OPERATIONS_MAX: 0, -errno or SHARED_ASK. */
int shared_semop(int id, const struct sembuf *operations, size_t count);

/* 0, -errno or SHARED_ASK. Cancellation points, as is the next. */
int shared_send(const struct shared_key *key, int64_t type, const void *bytes, size_t size,
                struct shared_wait *wait);

/* The size, -errno, or SHARED_ASK as *ret_ask. */
int64_t shared_receive(const struct shared_key *key, const struct queue_wish *wish, void *room,
                       int64_t *ret_type, struct shared_wait *wait, bool *ret_ask);

/* The daemon has done something with this object for us without waiting: when that has happened
 * a few times, we have it shared. */
void shared_note(const struct shared_key *key);

/* Another daemon may serve from now on, whose objects have the same numbers. */
void shared_forget_all(void);

#endif
