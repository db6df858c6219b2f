/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The connection to the kernel, where it needs what libfuse does not do: passthrough. */
#ifndef SHMEMU_FUSE_CHANNEL_H
#define SHMEMU_FUSE_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

struct channel {
	int fd;               /* /dev/fuse; borrowed */
	int refusal;          /* why nothing is passed through: -errno; 0 if it is */
	int failures;         /* to read, in a row */
	bool offered;         /* the kernel's INIT offers it */
	bool answered;        /* INIT has been */
	bool silent;          /* answers are swallowed */
	bool failed;          /* INIT's answer was an error, or did not get through */
	uint64_t init_unique; /* the INIT that waits for its answer; 0: none */
};

/* `passthrough`: ask the kernel for it. */
void channel_init(struct channel *channel, int fd, bool passthrough);

/* Goes on with a connection whose INIT was answered: `refusal` is what became of passthrough. */
void channel_resume(struct channel *channel, int refusal);

/* A request's number, by which it is answered, and the number's refusal with a positive errno. */
uint64_t channel_unique(const char *request);
void channel_refuse(struct channel *channel, uint64_t unique, int error);

/* One request in, one answer out: as read(2) and writev(2), with errno, but for what libfuse would
 * print. ENODEV: the connection has ended. ENOENT: the kernel has no use
 * for this answer, and did not take what it grants. */
ssize_t channel_read(struct channel *channel, void *bytes, size_t size);
ssize_t channel_writev(struct channel *channel, struct iovec *parts, int count);

/* Gives the kernel an open file (borrowed) to read, write and map in place of asking us. Returns a
 * positive backing id that is the kernel's until channel_close_backing, or -errno. */
int channel_open_backing(struct channel *channel, int file);
void channel_close_backing(struct channel *channel, int backing);

/* Finds out by a file of its own whether the kernel, which has had INIT's answer, grants what it
 * offered. Returns 0, or -errno and then never asks again: channel->refusal. */
int channel_try_passthrough(struct channel *channel);

/* The answers to open and create, which libfuse before 3.17 can't give a backing id; it is 0 for
 * direct I/O. */
enum { CHANNEL_OPEN_SIZE = 16, CHANNEL_CREATE_SIZE = 144 };
void channel_encode_open(int backing, char ret_answer[static CHANNEL_OPEN_SIZE]);
void channel_encode_create(const struct stat *status, int backing,
                           char ret_answer[static CHANNEL_CREATE_SIZE]);

#endif
