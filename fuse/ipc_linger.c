/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes that have lost their presence's connection and have something to undo yet. The
 * connection is close-on-exec: its end is the process's own, or that of the program it ran, and
 * semadj are the process's (semop(2)). When a process exits its files are closed a moment before it
 * is dead, so that this is the way of all that have something to undo.
 *
 * The record in the arena tells who lingers; what is here can be found again from that. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/own.h"
#include "fuse/creator.h"
#include "fuse/hash.h"
#include "fuse/ipc_i.h"

enum { EVENTS = 64, USERS_PART = 8 };

struct ipc_linger {
	uint32_t pid; /* the key, of several if a client makes it so */
	uid_t uid;
	int fd;          /* owned: the process */
	uint64_t number; /* of the presence; its record may be another's by now, ... */
	uint64_t at;     /* ... which is there */
	UT_hash_handle hh;
};

void ipc_linger_begin(struct ipc *ipc)
{
	struct rlimit limit = {0};

	ipc->linger_watch = epoll_create1(EPOLL_CLOEXEC);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		ipc->lingers_of.max = limit.rlim_cur / USERS_PART;
}

int ipc_linger_fd(const struct ipc *ipc)
{
	return ipc->linger_watch;
}

static void forget(struct ipc *ipc, struct ipc_linger *linger)
{
	HASH_DEL(ipc->lingers, linger);
	shares_remove(&ipc->lingers_of, linger->uid);
	close(linger->fd);
	free(linger);
}

void ipc_linger_free(struct ipc *ipc)
{
	struct ipc_linger *linger, *next;

	HASH_ITER(hh, ipc->lingers, linger, next)
		forget(ipc, linger);
	shares_deinit(&ipc->lingers_of);
	fd_close_at(&ipc->linger_watch);
}

/* NULL: it lingers no more. */
static const struct ipc_presence *presence_of(const struct ipc *ipc,
                                              const struct ipc_linger *linger)
{
	const struct ipc_presence *presence = arena_at(&ipc->arena, linger->at, sizeof *presence);

	return presence && presence->number == linger->number && !presence->connection ? presence
	                                                                               : NULL;
}

const struct ipc_presence *ipc_linger_of(struct ipc *ipc, pid_t pid)
{
	const struct ipc_presence *presence = NULL;
	uint32_t key = (uint32_t)pid;
	struct ipc_linger *linger;

	while (pid > 0 && !presence) {
		HASH_FIND(hh, ipc->lingers, &key, sizeof key, linger);
		if (!linger)
			break;
		presence = presence_of(ipc, linger);
		if (!presence)
			forget(ipc, linger);
	}
	return presence;
}

static bool has_ended(int process)
{
	struct pollfd end = {.fd = process, .events = POLLIN};

	return poll(&end, 1, 0) != 0;
}

/* Its pidfd, if it is the process that the presence was made for, and lives. */
static int open_process(const struct ipc_presence *presence)
{
	OWN_FD process = -1;

	if (!presence->pid || !presence->start || presence->start == IPC_START_UNKNOWN)
		return -1;
	process = (int)syscall(SYS_pidfd_open, (pid_t)presence->pid, 0);
	if (process < 0 || has_ended(process) ||
	    creator_start((pid_t)presence->pid) != presence->start)
		return -1;
	return fd_steal(&process);
}

/* Takes fd. */
static struct ipc_linger *add(struct ipc *ipc, const struct ipc_presence *presence, int fd)
{
	struct ipc_linger *linger = calloc(1, sizeof *linger);

	if (linger) {
		*linger = (struct ipc_linger){
			.pid = presence->pid,
			.uid = presence->uid,
			.fd = fd,
			.number = presence->number,
			.at = arena_offset(&ipc->arena, presence),
		};
		HASH_ADD(hh, ipc->lingers, pid, sizeof linger->pid, linger);
		/* With HASH_NONFATAL_OOM an element that could not be added has no table. */
		if (linger->hh.tbl)
			return linger;
	}
	free(linger);
	close(fd);
	return NULL;
}

bool ipc_linger(struct ipc *ipc, const struct ipc_presence *presence)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct ipc_linger *linger;
	int process;

	if (ipc->linger_watch < 0 || !shares_allow(&ipc->lingers_of, presence->uid))
		return false;
	process = open_process(presence);
	linger = process < 0 ? NULL : add(ipc, presence, process);
	if (!linger)
		return false;
	shares_add(&ipc->lingers_of, linger->uid);
	event.data.ptr = linger;
	if (epoll_ctl(ipc->linger_watch, EPOLL_CTL_ADD, linger->fd, &event) == 0)
		return true;
	forget(ipc, linger);
	return false;
}

void ipc_linger_look(struct ipc *ipc)
{
	struct epoll_event events[EVENTS];
	int count = EVENTS;

	while (ipc->lingers && count == EVENTS) {
		count = epoll_wait(ipc->linger_watch, events, EVENTS, 0);
		for (int i = 0; i < count; i++) {
			struct ipc_linger *linger = events[i].data.ptr;
			const struct ipc_presence *presence = presence_of(ipc, linger);

			if (presence)
				ipc_presence_end(ipc, presence);
			forget(ipc, linger);
		}
	}
}
