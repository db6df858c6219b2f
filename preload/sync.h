/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the process-shared objects of POSIX have in common where memory is shared by way of its file
 * ("views.h"): futexes in it would exclude nobody. An object's state is its bytes in the file, and
 * what excludes is a lock of an open file description on that file, far beyond its end. The kernel
 * gives such a lock back when its holder is killed.
 *
 * A claim is such a description, of the library's own. It is used by one thread at a time, since it
 * is the description that has the lock. It stays open for the next use: any close of a file's
 * descriptor would drop the record locks that the program may have on it. */
#ifndef SHMEMU_PRELOAD_SYNC_H
#define SHMEMU_PRELOAD_SYNC_H

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "preload/real.h"
#include "preload/views.h"

/* sync_claims.c */
struct claim {
	atomic_int state; /* enum state, in sync_claims.c */
	int fd;           /* read and write; guard.h may move it */
	dev_t device;
	ino_t inode;
	/* While an object is held. The first two are looked at by other threads. */
	_Atomic off_t offset;
	_Atomic pid_t holder; /* a thread */
	short kind;           /* F_RDLCK or F_WRLCK */
	bool is_quiet;        /* as in struct views_place */
	bool robust;
	bool inconsistent;
	unsigned depth;       /* how often more it was locked by its holder */
};

/* A description of the place's file, without a lock yet. Returns 0 or -errno: -ENOTSUP where there
 * can't be one, -EMFILE. */
int claims_take(const struct views_place *place, struct claim **ret_claim);

/* The lock goes, and the claim is another's to take. errno and the file are as they were. */
void claims_give(struct claim *claim);

/* What this process holds of the object there; `holder` 0: whichever thread. NULL: nothing. */
struct claim *claims_find(const struct views_place *place, pid_t holder);

/* Locks the object for as long as the program likes. claim_try: -EAGAIN if another has it.
 * claim_wait: -ETIMEDOUT, -EINVAL for a deadline that is none. */
struct deadline;
int claim_try(struct claim *claim, off_t offset, short kind);
int claim_wait(struct claim *claim, off_t offset, short kind, const struct deadline *deadline);
/* Says that the lock is held from now on: claims_find finds it. */
void claim_keep(struct claim *claim, off_t offset, short kind, pid_t holder);
/* Gives up whatever this process holds of the object: it is being made anew. */
void claims_drop(const struct views_place *place);
/* Whether objects there can be served. Returns 0 or -ENOTSUP or -EMFILE. */
int claims_probe(const struct views_place *place);
/* Closes what is open of a file on which the program has no record locks. The library's lock is
 * held. */
void claims_forget(dev_t device, ino_t inode);

/* A forked child would share its parent's locks. Before anybody asks for one. */
void claims_after_fork(void);

/* The calling thread; the kernel's number. */
pid_t sync_thread(void);

/* Of the object's file, with the library's lock: the descriptor stays where it is, and the second
 * keeps those out who write whole pages as they were before. Return 0 or -errno. */
int claim_read_locked(const struct claim *claim, off_t offset, void *ret_bytes, size_t size);
int claim_write_locked(const struct claim *claim, off_t offset, const void *bytes, size_t size);

/* For the moment that a look at an object and a change of it take: others are kept out, and no
 * signal handler runs, which might post to the same semaphore. The library's lock is held. */
struct gate {
	const struct views_place *place;
	struct claim *claim;
	uint64_t signals;
};

int gate_enter(struct gate *gate, const struct views_place *place);
int gate_read(const struct gate *gate, void *ret_bytes, size_t size);
int gate_write(const struct gate *gate, const void *bytes, size_t size);
void gate_leave(struct gate *gate);

/* A look alone. */
int gate_peek(const struct views_place *place, void *ret_bytes, size_t size);

/* sync_watch.c: waiting for a change of a file. */
struct deadline {
	clockid_t clock;
	const struct timespec *at; /* NULL: never */
};

bool deadline_is_valid(const struct deadline *deadline);
/* How long it still is, at most `most` nanoseconds; 0: it has passed. */
long deadline_left(const struct deadline *deadline, long most);

struct watcher;
struct watch {
	struct watcher *watcher; /* NULL: look again and again */
	long pause;              /* nanoseconds until the next look */
};

enum { WATCH_CANCEL = 1, WATCH_SIGNALS = 2 };

/* What changes in the file after watch_begin makes the next watch_wait return. */
void watch_begin(struct watch *watch, const struct views_place *place);
/* Returns 0: look again; -ETIMEDOUT; with WATCH_SIGNALS -EINTR, by the rules of signal(7) for
 * sem_wait. With WATCH_CANCEL the thread may be cancelled in it. */
int watch_wait(struct watch *watch, const struct deadline *deadline, int flags);
void watch_end(struct watch *watch);
void watch_after_fork(void);

/* glibc's sem_t, of 64 bits. */
struct sync_semaphore {
	unsigned value;
	unsigned waiting; /* which here nobody counts */
	int shared;
};

enum { SYNC_SEMAPHORE_SHARED = 128 };

/* A wrapped call: where there are no views it costs two looks and one jump, and takes no stack. */
#define SYNCED(name, parameters, arguments)                                                        \
	static __attribute__((noinline)) int with_views_##name parameters;                         \
	EXPORT int name parameters                                                                 \
	{                                                                                          \
		if (__builtin_expect(!views_any(), 1) && REAL_IS_THERE(name))                      \
			return REAL_KNOWN(name) arguments;                                         \
		return with_views_##name arguments;                                                \
	}                                                                                          \
	static __attribute__((noinline)) int with_views_##name parameters

/* sync_mutex.c: what conditions need. Return 0 or a positive errno. */
int sync_mutex_lock(pthread_mutex_t *mutex);
int sync_mutex_unlock(pthread_mutex_t *mutex);
bool sync_mutex_is_served(const pthread_mutex_t *mutex);

#endif
