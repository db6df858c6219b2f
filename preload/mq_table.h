/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is known of queues' descriptors. A queue is known by its fifo, of which no two have the same
 * st_dev and st_ino as long as they are there; what is forgotten, or never was known, the daemon
 * can tell (WIRE_MQ_OF). So this is of limited size, and may be out of date: then the daemon does
 * not know the handle. */
#ifndef SHMEMU_PRELOAD_MQ_TABLE_H
#define SHMEMU_PRELOAD_MQ_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/wire_ipc.h"

struct mq_key {
	dev_t device;
	ino_t inode;
	unsigned access; /* O_RDONLY, O_WRONLY or O_RDWR: each has a secret of its own */
};

struct mq_known {
	struct wire_handle handle;
	uint64_t size; /* mq_msgsize */
};

/* Lock-free, and safe in a signal's handler: whoever is interrupted, or left behind by a fork, has
 * at worst lost a place. */
bool mq_table_find(const struct mq_key *key, struct mq_known *ret_known);
void mq_table_add(const struct mq_key *key, const struct mq_known *known);
void mq_table_forget(const struct mq_key *key);

/* Which numbers are queues': for close(), which is to do as mq_close. Those made by dup, or passed
 * by others, are not among them. */
enum { MQ_MARKS_MAX = 1 << 16, MQ_MARKS_EACH = 64 };
extern _Atomic uint64_t mq_marks[MQ_MARKS_MAX / MQ_MARKS_EACH];

static inline bool mq_is_marked(int fd)
{
	return (unsigned)fd < MQ_MARKS_MAX &&
	       (atomic_load_explicit(&mq_marks[fd / MQ_MARKS_EACH], memory_order_relaxed) >>
	                fd % MQ_MARKS_EACH & 1);
}

void mq_mark(int fd, bool is_queue);

/* What is known of the lowest of those numbers, for calls that are not to look at the descriptor:
 * as long as it is marked it is that queue's. */
enum { MQ_QUICK_MAX = 1024 };

void mq_quick_set(int fd, const struct mq_key *key, const struct mq_known *known);
bool mq_quick_find(int fd, unsigned *ret_access, struct mq_known *ret_known);

/* Has the daemon been told that it is looked at? Of those that are not among them, never. */
bool mq_quick_is_told(int fd);
void mq_quick_tell(int fd);

/* Has this process, or the one that forked it, ever had a queue? */
extern atomic_bool mq_has_any;

static inline bool mq_any(void)
{
	return atomic_load_explicit(&mq_has_any, memory_order_relaxed);
}

#endif
