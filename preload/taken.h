/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* By which road a call has gone, for `shmemu trace`: noted where a road is taken, and nowhere else.
 */
#ifndef SHMEMU_PRELOAD_TAKEN_H
#define SHMEMU_PRELOAD_TAKEN_H

#include "base/traced.h"

/* A thread's own, so that there is nothing to lock; a handler's calls are told apart by whoever
 * reads it. */
#pragma GCC visibility push(hidden)
extern __thread unsigned char taken_road __attribute__((tls_model("initial-exec")));
#pragma GCC visibility pop

static inline void taken_note(enum traced_road road)
{
	if (taken_road < road)
		taken_road = (unsigned char)road;
}

#endif
