/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking away segments that nobody will miss. */
#ifndef SHMEMU_FUSE_REAP_H
#define SHMEMU_FUSE_REAP_H

struct loop;
struct reaper;
struct store;

enum reap_policy { REAP_NEVER, REAP_ORPHANS };

/* From the loop (borrowed), takes the names of orphans in the store (borrowed) away: segments that
 * nobody holds and whose maker is gone, once they have been so for `seconds`. Returns 0 or -errno.
 * */
int reaper_new(struct reaper **ret_reaper, struct loop *loop, struct store *store,
               unsigned seconds);
struct reaper *reaper_free(struct reaper *reaper); /* accepts and returns NULL */

#endif
