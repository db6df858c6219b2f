/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A client's looks for its answer before it sleeps until it comes.
 *
 * Who looks at a process (/proc/PID/stat, ps) takes its sleep for the call's own, such as the wait
 * for a semaphore. So a process whose call would not wait goes on looking when it no longer pays
 * by itself, and lets others have the core between. */
#ifndef SHMEMU_BASE_LOOK_H
#define SHMEMU_BASE_LOOK_H

#include <stdbool.h>
#include <stdint.h>

struct look {
	uint64_t since;
	uint32_t spinning; /* for so many nanoseconds; 0: not, or no longer */
	uint32_t yields;   /* then letting others have the core, so often; 0: likewise */
	uint32_t yielded;
	bool is_sure;
};

/* After a request was sent. */
struct look look_begin(bool may_wait);

/* After a request that somebody is looking for right now: that pays unless he is held up, and what
 * others do tells nothing of it. */
struct look look_begin_surely(void);

/* The answer is not there: is it to be looked for again, or slept for? */
bool look_again(struct look *look);

/* The wait is over. */
void look_end(const struct look *look);

/* Between two looks at memory: who shares the core has it. */
static inline void look_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t look_now(void);

#endif
