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
#include <time.h>

struct channel {
	int fd;               /* /dev/fuse; borrowed */
	int refusal;          /* why nothing is passed through: -errno; 0 if it is */
	int failures;         /* to read, in a row */
	bool offered;         /* the kernel's INIT offers it */
	bool strips;          /* taking set-id bits away is ours: see channel_request */
	bool answered;        /* INIT has been */
	bool silent;          /* answers are swallowed */
	bool failed;          /* INIT's answer was an error, or did not get through */
	uint64_t init_unique; /* the INIT that waits for its answer; 0: none */
};

/* `passthrough`: ask the kernel for it. */
void channel_init(struct channel *channel, int fd, bool passthrough);

/* Goes on with a connection whose INIT, `init`, was answered: `refusal` is what became of
 * passthrough. */
void channel_resume(struct channel *channel, int refusal, const void *init, size_t size);

/* A request's number, by which it is answered, and the number's refusal with a positive errno. */
uint64_t channel_unique(const char *request);
void channel_refuse(struct channel *channel, uint64_t unique, int error);

/* The kinds of request that others need to know. libfuse does not know the last two. */
enum {
	CHANNEL_FORGET = 2,
	CHANNEL_WRITE = 16,
	CHANNEL_RELEASE = 18,
	CHANNEL_TMPFILE = 51,
	CHANNEL_STATX = 52,
};

/* What libfuse does not tell of a request. */
struct channel_request {
	uint32_t operation;
	uint64_t unique;
	uint64_t node;
	uid_t uid;
	gid_t gid;
	pid_t pid;
	bool strips; /* a write, open or setattr of one who lacks CAP_FSETID: to take set-id bits
	                away. Told of writes always, of the others if channel->strips, else the
	                kernel does it */
};

struct channel_request channel_decode(const void *request, size_t size);

/* What a CHANNEL_TMPFILE wants besides: open(2)'s flags, and the mode without what umask takes.
 * 0, or -EINVAL for what is none. */
int channel_decode_tmpfile(const void *request, size_t size, int *ret_flags, mode_t *ret_mode);

/* The answer to CHANNEL_STATX, valid for no time at all; `born` is what stat(2) does not tell. */
enum { CHANNEL_STATX_SIZE = 288 };
void channel_encode_statx(const struct stat *status, const struct timespec *born,
                          char ret_answer[static CHANNEL_STATX_SIZE]);

/* Answers a request by ourselves, with success. Returns 0 or -errno: -ENOENT as channel_writev. */
int channel_answer(struct channel *channel, uint64_t unique, const void *bytes, size_t size);

/* Tells the kernel to ask for an inode's attributes again, if it has them. That takes no lock of
 * the inode's, so nobody who waits for us can stand in the way. */
void channel_forget_attributes(struct channel *channel, uint64_t ino);

/* One request in, one answer out: as read(2) and writev(2), with errno, but for what libfuse would
 * print. ENODEV: the connection has ended. ENOENT: the kernel has no use
 * for this answer, and did not take what it grants. */
ssize_t channel_read(struct channel *channel, void *bytes, size_t size);
ssize_t channel_writev(struct channel *channel, struct iovec *parts, int count);

/* Gives the kernel an open file (borrowed) to read, write and map in place of asking us. Returns a
 * positive backing id that is the kernel's until channel_close_backing, or -errno. */
int channel_open_backing(struct channel *channel, int file);
void channel_close_backing(struct channel *channel, int backing);

/* Finds out by a file, such as will be passed, whether the kernel, which has had INIT's answer,
 * grants what it offered. Returns 0, or -errno and then never asks again: channel->refusal. */
int channel_try_passthrough(struct channel *channel, int file);

/* The answers to open and create, which libfuse before 3.17 can't give a backing id; it is 0 for
 * direct I/O. The kernel keeps `handle` and tells it with each request on the open file. */
enum { CHANNEL_OPEN_SIZE = 16, CHANNEL_CREATE_SIZE = 144 };
void channel_encode_open(int backing, uint64_t handle, char ret_answer[static CHANNEL_OPEN_SIZE]);
void channel_encode_create(const struct stat *status, int backing, uint64_t handle,
                           char ret_answer[static CHANNEL_CREATE_SIZE]);
/* Has the kernel keep the name and the attributes of that for some seconds; else for no time. */
void channel_encode_kept(double name, double attributes, char answer[static CHANNEL_CREATE_SIZE]);

#endif
