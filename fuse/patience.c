/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One errand at a time is waited for; those that were left are the thread's that has them. There
 * are as many threads as message queues can be held up. */
#include "fuse/patience.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "fuse/disposal.h"
#include "fuse/thread.h"

enum {
	THREADS_MAX = 300,
	MILLISECOND_NS = 1000 * 1000,
	LATE_MAX = 40, /* how many times as long a thread may be in coming */
};

struct errand {
	uint64_t subject;
	patience_call *call;
	int fd; /* owned */
	int argument;
	bool opens;
	bool is_begun; /* a thread has it, ... */
	struct timespec begun; /* ... since then, of CLOCK_MONOTONIC */
	bool is_done;
	bool is_left;  /* nobody waits for it: the thread's to free */
	bool is_again; /* with another argument */
	int result;
	struct errand *prev, *next;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more, done; /* of CLOCK_MONOTONIC, both */
	struct errand *errands;    /* that are not done: but for the last, they are left */
	int threads, busy;
} patience = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void perform(struct errand *errand)
{
	int argument;

	do {
		argument = errand->argument;
		errand->is_again = false;
		pthread_mutex_unlock(&patience.lock);
		errand->result = errand->call ? errand->call(errand->fd, argument) : 0;
		pthread_mutex_lock(&patience.lock);
	} while (errand->is_again);
}

/* The lock is held, but not while it is closed. */
static void close_unlocked(int fd)
{
	pthread_mutex_unlock(&patience.lock);
	close(fd);
	pthread_mutex_lock(&patience.lock);
}

static void run_one(struct errand *errand)
{
	errand->is_begun = true;
	clock_gettime(CLOCK_MONOTONIC, &errand->begun);
	patience.busy++;
	perform(errand);
	close_unlocked(errand->fd);
	if (errand->is_left && errand->opens && errand->result >= 0)
		close_unlocked(errand->result);
	patience.busy--;
	errand->is_done = true;
	DL_DELETE(patience.errands, errand);
	if (errand->is_left)
		free(errand);
	pthread_cond_broadcast(&patience.done);
}

static struct errand *next_errand(void)
{
	struct errand *errand;

	DL_FOREACH(patience.errands, errand)
		if (!errand->is_begun)
			return errand;
	return NULL;
}

static void *run(void *unused)
{
	pthread_mutex_lock(&patience.lock);
	for (;;) {
		struct errand *errand = next_errand();

		if (errand)
			run_one(errand);
		else
			pthread_cond_wait(&patience.more, &patience.lock);
	}
	return unused;
}

static void begin(void)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&patience.more, &attributes);
	pthread_cond_init(&patience.done, &attributes);
	pthread_condattr_destroy(&attributes);
}

/* Those that are stuck are at least as many as those that are left. */
static bool is_manned(void)
{
	if (patience.threads == 0)
		begin();
	if (patience.busy == patience.threads && patience.threads < THREADS_MAX)
		patience.threads += thread_start(run);
	return patience.busy < patience.threads;
}

static struct timespec later(struct timespec end, int milliseconds)
{
	end.tv_nsec += milliseconds * (long)MILLISECOND_NS;
	end.tv_sec += end.tv_nsec / (1000 * (long)MILLISECOND_NS);
	end.tv_nsec %= 1000 * (long)MILLISECOND_NS;
	return end;
}

static struct timespec after(int milliseconds)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return later(now, milliseconds);
}

static struct errand *left_of(uint64_t subject)
{
	struct errand *errand;

	DL_FOREACH(patience.errands, errand)
		if (errand->subject == subject)
			return errand;
	return NULL;
}

/* Waits for the end of what was left of its subject. */
static bool is_free(const struct errand *errand, const struct timespec *end)
{
	struct errand *left;
	int result = 0;

	while ((left = left_of(errand->subject)) && result == 0)
		result = pthread_cond_timedwait(&patience.done, &patience.lock, end);
	if (left && left->call == errand->call) {
		left->argument = errand->argument;
		left->is_again = true;
	}
	return !left;
}

/* Until then, or until it is done. Returns whether it is. */
static bool await_done(const struct errand *errand, struct timespec end)
{
	int result = 0;

	while (!errand->is_done && result == 0)
		result = pthread_cond_timedwait(&patience.done, &patience.lock, &end);
	return errand->is_done;
}

/* Where there is much to do a thread may be late in coming: that is nobody's who holds it up. */
static int send_out(struct errand *errand, int milliseconds)
{
	bool was_begun = false;
	int result;

	DL_APPEND(patience.errands, errand);
	pthread_cond_signal(&patience.more);
	for (int late = 0; late < LATE_MAX && !was_begun; late++) {
		was_begun = errand->is_begun;
		if (await_done(errand, was_begun ? later(errand->begun, milliseconds) :
		                                   after(milliseconds)))
			break;
	}
	if (!errand->is_done) {
		errand->is_left = true;
		return -EBUSY;
	}
	result = errand->result;
	free(errand);
	return result;
}

/* *ret_taken: the descriptor is closed, or will be. */
static int try(const struct errand *wanted, int milliseconds, bool *ret_taken)
{
	const struct timespec end = after(milliseconds);
	struct errand *errand = malloc(sizeof *errand);
	bool is_alone;
	int result = -EBUSY;

	*ret_taken = false;
	if (!errand)
		return -ENOMEM;
	*errand = *wanted;
	pthread_mutex_lock(&patience.lock);
	if (is_free(errand, &end) && is_manned()) {
		*ret_taken = true;
		result = send_out(errand, milliseconds);
	} else {
		free(errand);
	}
	is_alone = !patience.threads;
	pthread_mutex_unlock(&patience.lock);
	if (is_alone)
		result = wanted->call ? wanted->call(wanted->fd, wanted->argument) : 0;
	return result;
}

static int lend(struct errand *wanted, int fd, int milliseconds)
{
	bool is_taken;
	int result;

	wanted->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (wanted->fd < 0)
		return -errno;
	result = try(wanted, milliseconds, &is_taken);
	if (!is_taken)
		close(wanted->fd);
	return result;
}

int patience_do(uint64_t subject, patience_call *call, int fd, int argument, int milliseconds)
{
	struct errand errand = {.subject = subject, .call = call, .argument = argument};

	return lend(&errand, fd, milliseconds);
}

int patience_open(uint64_t subject, patience_call *call, int fd, int argument, int milliseconds)
{
	struct errand errand = {
		.subject = subject, .call = call, .argument = argument, .opens = true,
	};

	return lend(&errand, fd, milliseconds);
}

void patience_close(uint64_t subject, int fd, int milliseconds)
{
	struct errand errand = {.subject = subject, .fd = fd};
	bool is_taken;

	try(&errand, milliseconds, &is_taken);
	if (!is_taken)
		disposal_close(fd);
}
