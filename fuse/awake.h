/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeps idle cores from sleeping while requests come one after another. Who asks at the FUSE door
 * sleeps in the kernel until he is answered, so that his core is idle, and to wake it takes two
 * thirds of a request in a virtual machine. The kernel lets idle cores look for work instead of
 * sleeping for as long as somebody has /dev/cpu_dma_latency open and has written 0 to it, which
 * takes root; it forgets it when that is closed, so by a kill as well.
 *
 * Whether it pays is measured: how long after an answer the next request comes, without and with
 * it. Where that is not a quarter less it is given up, and tried again ever more rarely. It ends
 * two milliseconds after the last request. */
#ifndef SHMEMU_FUSE_AWAKE_H
#define SHMEMU_FUSE_AWAKE_H

#include <stdint.h>

struct awake;
struct loop;

enum awake_when {
	AWAKE_AUTO, /* where there are so few processors that hardly any is kept awake in vain */
	AWAKE_ALWAYS,
	AWAKE_NEVER,
};

/* The device, which is the caller's to close, or -errno: not here, or not wanted. */
int awake_open(enum awake_when when);

/* Takes the device, in any case. Returns 0 or -errno. */
int awake_new(struct awake **ret_awake, struct loop *loop, int device);
struct awake *awake_free(struct awake *awake); /* accepts and returns NULL */

/* A request was found at `began` and answered by `ended`, by look_now. */
void awake_served(struct awake *awake, uint64_t began, uint64_t ended);

#endif
