/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mq_notify. The daemon keeps who is registered, and sends the notice by a pipe.
 *
 * One thread waits for those that are to become signals. It stays: a signal's handler registers
 * again, and then no thread is to be made, which takes malloc. What is to run a function of the
 * program's has a thread of its own, that waits first: so it is made with the attributes that the
 * program gave for it. */
#include "preload/mq.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "base/own.h"
#include "preload/boot.h"
#include "preload/emu_ipc.h"
#include "preload/export.h"
#include "preload/guard.h"
#include "preload/lock.h"
#include "preload/sysv.h"

enum {
	STACK_SIZE = 1 << 17,
	SIGNAL_MAX = 64,
	LOOK_AGAIN_NS = 50 * 1000,
	LOOKS_MAX = 4000,
};

/* A mapping of its own. */
struct registration {
	struct registration *next;
	struct mq_key queue;    /* access is of no matter */
	uint64_t presence;      /* by which the daemon has it */
	uint64_t number;        /* in the order of making */
	int fd;                 /* the pipe's, guarded; -1: nobody waits (SIGEV_NONE) */
	struct mq_key pipe;     /* as programs may close what they did not open */
	struct sigevent event;
};

/* Under the lock. */
static struct registration *registrations;
static int signal_pipes = -1; /* an epoll of them; guarded */
static bool has_signal_thread;

atomic_int mq_notice_count; /* registrations */
static _Atomic uint64_t last_number;

static bool is_of(const struct registration *one, const struct mq_key *queue)
{
	return one->queue.inode == queue->inode && one->queue.device == queue->device;
}

static bool is_by_signal(const struct registration *one)
{
	return one->fd >= 0 && one->event.sigev_notify == SIGEV_SIGNAL;
}

static bool is_still_pipe(const struct registration *one)
{
	struct stat status;

	return sys_fstat(one->fd, &status) == 0 && status.st_ino == one->pipe.inode &&
	       status.st_dev == one->pipe.device;
}

static void enter(struct registration *one)
{
	one->number = atomic_fetch_add(&last_number, 1) + 1;
	one->next = registrations;
	registrations = one;
	atomic_fetch_add(&mq_notice_count, 1);
}

/* If it is still there. */
static void discard(struct registration *one)
{
	struct registration **at = &registrations;

	while (*at && *at != one)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = one->next;
	atomic_fetch_sub(&mq_notice_count, 1);
	if (one->fd >= 0 && !is_still_pipe(one))
		guard_forget(&one->fd);
	guard_close(&one->fd);
	sys_give(one, sizeof *one);
}

/* Of those that nobody waits for, of one queue. */
static void discard_idle(const struct mq_key *queue)
{
	uint64_t before = lock_take();
	struct registration *next;

	for (struct registration *one = registrations; one; one = next) {
		next = one->next;
		if (one->fd < 0 && is_of(one, queue))
			discard(one);
	}
	lock_leave(before);
}

static bool is_ready(int fd)
{
	struct pollfd pipe = {.fd = fd, .events = POLLIN};
	struct timespec now = {0};

	return sys_poll(&pipe, 1, &now) > 0;
}

enum outcome { NOT_YET, NOTICED, NEVER };

/* What is read is read under the lock, where the number is the pipe's. */
static enum outcome look_locked(const struct registration *one, struct wire_notice_sent *ret_notice)
{
	if (!is_still_pipe(one))
		return NEVER;
	if (!is_ready(one->fd))
		return NOT_YET;
	return sys_read(one->fd, ret_notice, sizeof *ret_notice) == sizeof *ret_notice ? NOTICED
	                                                                               : NEVER;
}

static void send_signal(const struct registration *one, const struct wire_notice_sent *notice)
{
	siginfo_t info;

	if (!one->event.sigev_signo)
		return;
	memset(&info, 0, sizeof info);
	info.si_signo = one->event.sigev_signo;
	info.si_code = SI_MESGQ;
	info.si_pid = (pid_t)notice->pid;
	info.si_uid = notice->uid;
	info.si_value = one->event.sigev_value;
	sys_call(SYS_rt_sigqueueinfo, sys_getpid(), info.si_signo, (long)&info, 0, 0, 0);
}

/* All that are due. */
static void send_signals_locked(void)
{
	struct registration *next;

	for (struct registration *one = registrations; one; one = next) {
		struct wire_notice_sent notice;
		enum outcome outcome;

		next = one->next;
		if (!is_by_signal(one))
			continue;
		outcome = look_locked(one, &notice);
		if (outcome == NOTICED)
			send_signal(one, &notice);
		if (outcome != NOT_YET)
			discard(one);
	}
}

/* The program closed it, by a way that can't be seen. */
static void forget_pipes_locked(void)
{
	guard_forget(&signal_pipes);
	has_signal_thread = false;
}

static bool is_lost(int pipes)
{
	uint64_t before = lock_take();
	bool lost = signal_pipes == pipes;

	if (lost)
		forget_pipes_locked();
	lock_leave(before);
	return lost;
}

/* Their number can move while it is waited for, and what is waited for stays the same. */
static void *serve_signals(void *unused)
{
	for (;;) {
		struct epoll_event event;
		uint64_t before = lock_take();
		int pipes = signal_pipes;
		long result;

		send_signals_locked();
		lock_leave(before);
		result = sys_call(SYS_epoll_pwait, pipes, (long)&event, 1, -1, 0, 0);
		if (result < 0 && result != -EINTR && is_lost(pipes))
			return unused;
	}
}

static struct sigevent wait_for_notice(struct registration *one)
{
	struct wire_notice_sent notice;
	struct sigevent event = one->event;
	enum outcome outcome;
	uint64_t before;

	for (;;) {
		struct pollfd pipe = {.events = POLLIN};

		before = lock_take();
		outcome = look_locked(one, &notice);
		if (outcome != NOT_YET)
			break;
		pipe.fd = one->fd;
		lock_leave(before);
		sys_poll(&pipe, 1, NULL);
	}
	discard(one);
	lock_leave(before);
	if (outcome == NEVER)
		event.sigev_notify = SIGEV_NONE;
	return event;
}

static void *serve_function(void *registration)
{
	const uint64_t none = 0;
	struct sigevent event = wait_for_notice(registration);

	if (event.sigev_notify == SIGEV_NONE)
		return NULL;
	/* Nobody joins it, and the program finds it as libc makes it. */
	pthread_detach(pthread_self());
	sys_sigmask(SIG_SETMASK, &none, NULL);
	event.sigev_notify_function(event.sigev_value);
	return NULL;
}

/* No handler of the program's is to run in it; but by one of glibc's own all threads become another
 * user when one does, and that is waited for. */
static int begin_thread(void *(*serve)(void *), void *argument, const pthread_attr_t *attributes)
{
	enum { SIGCANCEL = 32, SIGSETXID = 33 };
	const uint64_t all = ~(1ULL << (SIGCANCEL - 1) | 1ULL << (SIGSETXID - 1));
	pthread_t thread;
	uint64_t before;
	int error;

	sys_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, attributes, serve, argument);
	sys_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

static int begin_signal_thread(void)
{
	pthread_attr_t small;
	uint64_t before;
	int result;

	pthread_attr_init(&small);
	pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&small, STACK_SIZE);
	result = begin_thread(serve_signals, NULL, &small);
	pthread_attr_destroy(&small);
	if (result < 0) {
		before = lock_take();
		has_signal_thread = false;
		lock_leave(before);
	}
	return result;
}

static int make_pipes_locked(void)
{
	int result = (int)sys_call(SYS_epoll_create1, EPOLL_CLOEXEC, 0, 0, 0, 0, 0);

	if (result < 0)
		return result;
	signal_pipes = result;
	result = guard_keep(&signal_pipes);
	if (result < 0)
		fd_close_at(&signal_pipes);
	return result;
}

static int watch_locked(const struct registration *one)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT};
	int result = 0;

	for (int attempt = 0; attempt < 2; attempt++) {
		if (signal_pipes < 0)
			result = make_pipes_locked();
		if (result == 0)
			result = (int)sys_call(SYS_epoll_ctl, signal_pipes, EPOLL_CTL_ADD, one->fd,
			                       (long)&event, 0, 0);
		if (result != -EBADF && result != -EINVAL)
			break;
		forget_pipes_locked();
		result = 0;
	}
	return result;
}

/* Puts the pipe where it is waited for. */
static int settle(struct registration *one)
{
	bool is_function = one->event.sigev_notify == SIGEV_THREAD;
	bool begin = false;
	uint64_t before = lock_take();
	int result = one->fd < 0 ? 0 : guard_keep(&one->fd);

	if (result < 0)
		fd_close_at(&one->fd);
	enter(one);
	if (is_by_signal(one)) {
		result = watch_locked(one);
		begin = result == 0 && !has_signal_thread;
		has_signal_thread = has_signal_thread || begin;
	}
	lock_leave(before);
	if (result == 0 && is_function)
		result = begin_thread(serve_function, one, one->event.sigev_notify_attributes);
	else if (begin)
		result = begin_signal_thread();
	if (result == 0)
		return 0;
	before = lock_take();
	discard(one);
	lock_leave(before);
	return result;
}

/* Takes the pipe. */
static int keep(const struct mq *queue, const struct client_ipc *call,
                const struct sigevent *event)
{
	struct registration *one = sys_mmap(sizeof *one, PROT_READ | PROT_WRITE,
	                                    MAP_PRIVATE | MAP_ANONYMOUS, -1);
	OWN_FD pipe = call->fd;
	struct stat status;

	if (sys_is_error(one))
		return -ENOMEM;
	*one = (struct registration){
		.queue = queue->key,
		.presence = call->asked.presence.number,
		.fd = -1,
		.event = *event,
	};
	if (event->sigev_notify != SIGEV_NONE) {
		if (sys_fstat(pipe, &status) < 0) {
			sys_give(one, sizeof *one);
			return -ENOSYS;
		}
		one->pipe = (struct mq_key){status.st_dev, status.st_ino, O_RDONLY};
		one->fd = fd_steal(&pipe);
	}
	return settle(one);
}

static int ask_to(struct mq *queue, enum wire_notice wish, struct client_ipc *ret_call)
{
	*ret_call = client_ipc_make(WIRE_MQ_NOTIFY);
	ret_call->asked.command = wish;
	return mq_ask_present(queue, ret_call);
}

static bool has_any(const struct mq_key *queue)
{
	bool found = false;
	uint64_t before;

	if (!atomic_load(&mq_notice_count))
		return false;
	before = lock_take();
	for (const struct registration *one = registrations; one && !found; one = one->next)
		found = is_of(one, queue);
	lock_leave(before);
	return found;
}

/* Of this process's, and no other's. */
static int leave(struct mq *queue)
{
	struct client_ipc call;
	int result;

	if (!has_any(&queue->key))
		return 0;
	result = ask_to(queue, WIRE_NOTICE_REMOVE, &call);
	fd_close_at(&call.fd);
	discard_idle(&queue->key);
	return result;
}

static enum wire_notice wish_of(const struct sigevent *event)
{
	switch (event->sigev_notify) {
	case SIGEV_SIGNAL:
		return WIRE_NOTICE_SIGNAL;
	case SIGEV_THREAD:
		return WIRE_NOTICE_THREAD;
	default:
		return WIRE_NOTICE_NONE;
	}
}

static int join(struct mq *queue, const struct sigevent *event)
{
	struct client_ipc call;
	struct client_ipc ignored;
	int result = ask_to(queue, wish_of(event), &call);

	if (result < 0)
		return result;
	discard_idle(&queue->key);
	result = keep(queue, &call, event);
	if (result < 0)
		ask_to(queue, WIRE_NOTICE_REMOVE, &ignored);
	return result;
}

static int judge(const struct sigevent *event)
{
	switch (event->sigev_notify) {
	case SIGEV_NONE: case SIGEV_THREAD:
		return 0;
	case SIGEV_SIGNAL:
		return (unsigned)event->sigev_signo > SIGNAL_MAX ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

static long notify(mqd_t fd, const struct sigevent *event, bool by_thread)
{
	struct sigevent wanted;
	struct mq queue;
	int result = event ? sysv_take(&wanted, event, sizeof wanted) : 0;

	if (result == 0 && event)
		result = judge(&wanted);
	/* A netlink socket of the program's that the kernel would write to. */
	if (result == 0 && event && wanted.sigev_notify == SIGEV_THREAD && !by_thread)
		result = -ENOSYS;
	if (result == 0)
		result = mq_find(fd, &queue);
	if (result < 0)
		return result;
	return event ? join(&queue, &wanted) : leave(&queue);
}

long emu_mq_notify(mqd_t queue, const struct sigevent *event)
{
	return notify(queue, event, false);
}

EXPORT int mq_notify(mqd_t queue, const struct sigevent *event)
{
	return export_result((int)notify(queue, event, true));
}

void mq_notify_closing(struct mq *queue)
{
	leave(queue);
}

uint64_t mq_notify_last(void)
{
	return atomic_load(&last_number);
}

/* Whether a signal of it is still to come. */
static bool is_awaited(const struct mq_key *queue, uint64_t presence, uint64_t last)
{
	bool found = false;
	uint64_t before = lock_take();

	send_signals_locked();
	for (const struct registration *one = registrations; one && !found; one = one->next)
		found = one->presence == presence && one->number <= last && is_by_signal(one) &&
		        is_of(one, queue);
	lock_leave(before);
	return found;
}

void mq_notify_sent(const struct mq *queue, uint64_t presence, uint64_t last)
{
	const struct timespec time = {.tv_nsec = LOOK_AGAIN_NS};

	if (!presence || !atomic_load(&mq_notice_count) || boot_is_borrowed())
		return;
	for (int look = 0; look < LOOKS_MAX && is_awaited(&queue->key, presence, last); look++)
		sys_call(SYS_nanosleep, (long)&time, 0, 0, 0, 0, 0);
}

__attribute__((cold)) void mq_notify_after_fork_child(void)
{
	while (registrations)
		discard(registrations);
	guard_close(&signal_pipes);
	if (has_signal_thread)
		has_signal_thread = false;
}
