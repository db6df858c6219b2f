/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A message queue in an arena: of System V, or of POSIX with its priorities. Nothing here waits:
 * -EAGAIN says that there is no room, or no message, and the caller waits or not.
 *
 * What a call changes is in the arena's turn, which is the caller's to commit or roll back. What is
 * read is checked before it is followed, since it is what an earlier worker has left: see arena.h.
 * What is broken is -EBADMSG. While clients work on a queue themselves its messages are not here
 * but in its slots: slots.h. */
#ifndef SHMEMU_BASE_QUEUE_H
#define SHMEMU_BASE_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum queue_kind { QUEUE_SYSV = 1, QUEUE_POSIX };

/* A block of sizeof + size bytes. */
struct queue_message {
	uint64_t next;
	int64_t type; /* mtype, or the priority */
	uint64_t size;
	char bytes[];
};

struct queue {
	uint64_t kind;
	uint64_t first, last; /* SYSV: in the order of arrival; POSIX: of priority, then arrival */
	uint64_t count;
	uint64_t bytes;
	uint64_t bytes_max; /* SYSV: msg_qbytes, also of messages (ipc/msg.c) */
	uint64_t count_max; /* POSIX: mq_maxmsg */
	uint64_t size_max;  /* of one message: msgmax, mq_msgsize */
	uint32_t pid[2];    /* lspid, lrpid */
	int64_t time[2];    /* stime, rtime: seconds since the epoch */
};

/* Who does it, and when. */
struct queue_stamp {
	uint32_t pid;
	int64_t now;
};

/* An empty queue: a new block. Its offset, or -ENOSPC, -ENOMEM. */
int64_t queue_new(struct arena *arena, enum queue_kind kind, uint64_t bytes_max,
                  uint64_t count_max, uint64_t size_max);

/* Its own block goes; the messages are the caller's: *ret_first leads to the first. */
void queue_free(struct arena *arena, uint64_t at, uint64_t *ret_first);

/* 0, -EAGAIN (no room), -EINVAL (SYSV: larger than size_max), -EMSGSIZE (POSIX), -ENOSPC,
 * -ENOMEM, -EBADMSG. */
int queue_send(struct arena *arena, uint64_t at, int64_t type, const void *bytes, size_t size,
               const struct queue_stamp *stamp);

/* Which message. SYSV: msgrcv(2)'s type and, of its flags, MSG_NOERROR, MSG_EXCEPT and MSG_COPY
 * (then type is the place from the first, and the message stays); POSIX: neither matters. */
struct queue_wish {
	int64_t type;
	int flags;
	size_t room;
};

/* Copies it to `room` and takes it out. Its size, at most wish->room, or -EAGAIN (there is none;
 * of MSG_COPY as well), -E2BIG, -EINVAL (MSG_COPY of a part), -EBADMSG. */
int64_t queue_receive(struct arena *arena, uint64_t at, const struct queue_wish *wish, void *room,
                      int64_t *ret_type, const struct queue_stamp *stamp);

/* Gives back up to `most` messages of a chain: where it goes on, 0: all. */
uint64_t queue_give(struct arena *arena, uint64_t first, unsigned most);

#endif
