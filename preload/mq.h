/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* POSIX message queues: mq.c has queues and messages, mq_notify.c notices. A queue's descriptor is
 * a fifo that the daemon has made (wire_ipc.h), so poll(2), dup(2), fork(2) and O_NONBLOCK are the
 * kernel's. */
#ifndef SHMEMU_PRELOAD_MQ_H
#define SHMEMU_PRELOAD_MQ_H

#include <stdbool.h>

#include "preload/ask_ipc.h"
#include "preload/mq_table.h"

/* An open queue. */
struct mq {
	int fd;       /* the program's */
	int flags;    /* of F_GETFL */
	struct mq_key key;
	struct mq_known known;
};

/* 0, or -EBADF for what is no queue's descriptor. */
int mq_find(int fd, struct mq *ret_queue);

/* The queue's operation: ask_ipc, or with the presence. When the daemon does not know the handle it
 * is asked for the queue anew, and then once more. */
int mq_ask(struct mq *queue, struct client_ipc *call, enum client_wait wait, bool is_cancellable);
int mq_ask_present(struct mq *queue, struct client_ipc *call);

/* Are there registrations of this process? */
extern atomic_int mq_notice_count;

/* A descriptor of the queue is about to be closed: its process's registration goes with it. */
void mq_notify_closing(struct mq *queue);

/* A message was sent to the queue, and a notice to a presence came of it (0: none). If it is this
 * process's, the signal has been sent when this returns, as the kernel has it. `last` is what
 * mq_notify_last said before the message was sent: a handler may have registered again. */
uint64_t mq_notify_last(void);
void mq_notify_sent(const struct mq *queue, uint64_t presence, uint64_t last);

/* Called by lock.c's handler, with the lock held: a child of fork has no registrations. */
void mq_notify_after_fork_child(void);

/* Somebody looks at what this descriptor shows, if it is a queue's. */
void mq_polled(int fd);

/* close(2) of a number that may be a queue's: asked before each. */
static inline bool mq_minds_close(int fd)
{
	return atomic_load_explicit(&mq_notice_count, memory_order_relaxed) || mq_is_marked(fd);
}

/* As close(2), with errno. */
int mq_close_number(int fd);

/* The queues' numbers from `first` to `last`, before what closes a range does. */
void mq_close_range(unsigned first, unsigned last);

/* The same around what puts another file in a number's place. */
struct mq_parting {
	bool is_queue;
	struct mq queue;
};

void mq_part_begin(int fd, struct mq_parting *ret_parting);
void mq_part_end(struct mq_parting *parting, bool is_closed);

#endif
