/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/awake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/look.h"
#include "base/own.h"
#include "fuse/loop.h"

/* All processors are kept awake, not only the one that matters. */
enum { PROCESSORS_FEW = 4 };

/* In microseconds, as the kernel has them; the other one is what it has by itself. */
static const int32_t latency_none = 0;
static const int32_t latency_any = 2000 * 1000 * 1000;

enum {
	AT_ONCE_NS = 100 * 1000,  /* a request later than that is not waited for */
	WORTH_NS = 10 * 1000,     /* with less between requests no core sleeps that is waited for */
	SAMPLE = 12,              /* gaps that tell */
	TERM = 4096,              /* after so many it is measured anew */
	LINGER_NS = 2 * 1000 * 1000,
};

static const uint64_t rest_min_ns = 100 * 1000 * 1000;
static const uint64_t rest_max_ns = 100 * 1000 * 1000 * 1000ULL;

struct awake {
	struct loop_source timer; /* first: the loop hands it back */
	struct loop *loop;        /* borrowed */
	int device;               /* owned */
	bool held;
	bool pays;                /* that it is held */
	uint64_t ended;           /* the last request */
	uint64_t gaps;            /* between so many requests, added up */
	uint32_t count;
	uint64_t before;          /* one of them, when it was not held */
	uint64_t rest;
	uint64_t rested;          /* when to try again */
};

int awake_open(enum awake_when when)
{
	struct stat status;
	int device;

	if (when == AWAKE_NEVER ||
	    (when == AWAKE_AUTO && sysconf(_SC_NPROCESSORS_CONF) > PROCESSORS_FEW))
		return -EOPNOTSUPP;
	device = open("/dev/cpu_dma_latency", O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (device < 0)
		return -errno;
	if (fstat(device, &status) == 0 && S_ISCHR(status.st_mode))
		return device;
	close(device);
	return -ENODEV;
}

static void begin_sample(struct awake *awake)
{
	awake->gaps = awake->count = 0;
}

/* The timer tells when nobody asks any more, and is silent while nothing is held. */
static void hold(struct awake *awake, bool held)
{
	const int32_t *latency = held ? &latency_none : &latency_any;
	struct itimerspec period = {.it_interval = {0, held ? LINGER_NS : 0}};

	if (write(awake->device, latency, sizeof *latency) < 0)
		awake->rested = UINT64_MAX;
	awake->pays = false;
	awake->held = held;
	period.it_value = period.it_interval;
	timerfd_settime(awake->timer.fd, 0, &period, NULL);
	begin_sample(awake);
}

static int look_whether_over(struct loop_source *source, uint32_t events)
{
	struct awake *awake = (struct awake *)source;
	uint64_t times;

	(void)events;
	if (read(source->fd, &times, sizeof times) < 0)
		return 0;
	if (look_now() - awake->ended >= LINGER_NS)
		hold(awake, false);
	return 0;
}

int awake_new(struct awake **ret_awake, struct loop *loop, int device)
{
	struct awake *awake = calloc(1, sizeof *awake);
	int result;

	if (!awake) {
		close(device);
		return -ENOMEM;
	}
	*awake = (struct awake){
		.timer = {
			.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
			.handle = look_whether_over,
		},
		.loop = loop,
		.device = device,
	};
	result = awake->timer.fd < 0 ? -errno : loop_add(loop, &awake->timer, EPOLLIN);
	if (result < 0) {
		awake_free(awake);
		return result;
	}
	*ret_awake = awake;
	return 0;
}

struct awake *awake_free(struct awake *awake)
{
	if (!awake)
		return NULL;
	if (awake->timer.fd >= 0)
		loop_remove(awake->loop, &awake->timer);
	fd_close_at(&awake->timer.fd);
	fd_close_at(&awake->device);
	free(awake);
	return NULL;
}

static void consider(struct awake *awake)
{
	if (awake->gaps < (uint64_t)WORTH_NS * awake->count || awake->ended < awake->rested) {
		begin_sample(awake);
		return;
	}
	awake->before = awake->gaps / awake->count;
	hold(awake, true);
}

static void judge(struct awake *awake)
{
	if (4 * awake->gaps / awake->count <= 3 * awake->before) {
		awake->pays = true;
		awake->rest = 0;
		begin_sample(awake);
		return;
	}
	awake->rest = awake->rest ? 2 * awake->rest : rest_min_ns;
	if (awake->rest > rest_max_ns)
		awake->rest = rest_max_ns;
	if (awake->rested != UINT64_MAX)
		awake->rested = awake->ended + awake->rest;
	hold(awake, false);
}

void awake_served(struct awake *awake, uint64_t began, uint64_t ended)
{
	uint64_t gap = began - awake->ended;

	awake->ended = ended;
	if (gap > AT_ONCE_NS) {
		if (!awake->held)
			begin_sample(awake);
		return;
	}
	awake->gaps += gap;
	awake->count++;
	if (!awake->held && awake->count >= SAMPLE)
		consider(awake);
	else if (awake->held && !awake->pays && awake->count >= 2 * SAMPLE)
		judge(awake);
	else if (awake->count >= TERM)
		hold(awake, false);
}
