/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker's event loop: epoll over descriptors, each with its handler. One thread. */
#ifndef SHMEMU_FUSE_LOOP_H
#define SHMEMU_FUSE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

/* Embedded in its owner, which must outlive the registration. */
struct loop_source {
	int fd; /* borrowed */
	/* Called with EPOLL* events. Returns 0, or -errno to end the loop with that result. The
	 * source may be removed, and its owner freed, inside its own handler; other sources only
	 * by themselves. */
	int (*handle)(struct loop_source *source, uint32_t events);
	bool sleeps; /* after it the loop does not look before it sleeps */
};

int loop_new(struct loop **ret_loop);
struct loop *loop_free(struct loop *loop); /* accepts and returns NULL */

/* `events` as for epoll_ctl, level-triggered. Returns 0 or -errno. */
int loop_add(struct loop *loop, struct loop_source *source, uint32_t events);
int loop_change(struct loop *loop, struct loop_source *source, uint32_t events);
void loop_remove(struct loop *loop, struct loop_source *source);

/* Sources that are heard before all others, whichever was ready before: what happened before a
 * request was made is known when it is served. One may be among the others as well, by other
 * events; it is to be removed from each. */
int loop_add_first(struct loop *loop, struct loop_source *source, uint32_t events);
void loop_remove_first(struct loop *loop, struct loop_source *source);

/* Hears those that are ready now: how many, or a handler's -errno. */
int loop_hear_first(struct loop *loop);

/* Looks for what no descriptor tells of. While the loop looks again and again before it sleeps it
 * calls `look`, which serves at most one and says whether it has; that may remove any source.
 * Before and after come the other two; where `begin` finds nothing to be looked for there are
 * neither. */
struct loop_looker {
	bool (*begin)(void *details);
	bool (*look)(void *details);
	void (*end)(void *details);
	void *details;
};

void loop_look_too(struct loop *loop, const struct loop_looker *looker);

/* Called when nothing has been heard for a second, once, until something has been heard again. */
void loop_when_quiet(struct loop *loop, void (*quiet)(void));

/* Runs until loop_stop or a handler's failure; returns 0 or that -errno. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

#endif
