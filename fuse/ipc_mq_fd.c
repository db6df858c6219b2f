/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A queue's descriptor is a fifo without a name, in packets and with room for two of them: with
 * none in it the queue is empty, with two it is full, so that poll(2) says what Linux says of a
 * queue. Our own end, open for both, is the keeper's too.
 *
 * Each open file description of a client's has a shared flock(2): it goes with the last descriptor,
 * wherever that has been passed to. So nobody has the fifo open when it can be had exclusively.
 *
 * Who reads and writes it can have its lock for as long as it likes: what takes that lock, to open
 * and to close it too, is done with patience.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/own.h"
#include "fuse/anon.h"
#include "fuse/ipc_mq.h"
#include "fuse/keep.h"
#include "fuse/patience.h"

enum {
	PACKETS = 2, /* of a full queue */
	TRIES_MAX = 64, /* somebody may be putting others into it */
	PACKET_MAX = 4096,
};

static int open_again(int fifo, int flags)
{
	char path[64];
	int file;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fifo);
	file = open(path, flags | O_NONBLOCK | O_CLOEXEC);
	if (file >= 0)
		return file;
	/* Not the asker's descriptors. */
	return errno == EMFILE ? -ENFILE : -errno;
}

static int try_again(int fifo, int flags)
{
	OWN_FD file = open_again(fifo, flags);

	return file < 0 ? file : 0;
}

static int make_fifo(const struct anon *anon, const char *name)
{
	const int flags = O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW;
	OWN_FD fifo = openat(anon->nodes, name, flags);
	int error = errno;

	unlinkat(anon->nodes, name, 0);
	if (fifo < 0)
		return error == EMFILE ? -ENFILE : -error;
	if (fcntl(fifo, F_SETFL, O_RDWR | O_NONBLOCK | O_DIRECT) < 0)
		return -errno;
	if (fcntl(fifo, F_SETPIPE_SZ, PACKETS * (int)sysconf(_SC_PAGESIZE)) < 0)
		return -errno;
	return fd_steal(&fifo);
}

/* Whoever was answered before a kill has the first one. */
int ipc_mq_fd_make(struct ipc *ipc, const struct ipc_object *object)
{
	int held = ipc->is_again ? ipc_held(ipc, KEEP_QUEUE, object->serial) : -1;
	char name[64];
	int result;

	if (held >= 0)
		return fchmod(held, 0600) < 0 ? -errno : 0;
	snprintf(name, sizeof name, "queue-%llu", (unsigned long long)object->serial);
	/* From before a kill. */
	unlinkat(ipc->anon->nodes, name, 0);
	result = anon_make_node(ipc->anon, S_IFIFO, name);
	if (result == 0)
		result = make_fifo(ipc->anon, name);
	return result < 0 ? result : ipc_hold(ipc, KEEP_QUEUE, object->serial, result);
}

int ipc_mq_fd_open(const struct ipc *ipc, const struct ipc_object *object, int flags)
{
	int held = ipc_held(ipc, KEEP_QUEUE, object->serial);
	OWN_FD file = held < 0 ? -EBADMSG : patience_open(object->serial, open_again, held,
	                                                  flags & O_ACCMODE, PATIENCE_LONG_MS);

	/* As if it were a moment after the table was full. */
	if (file < 0)
		return file == -EBUSY ? -ENFILE : file;
	if (!(flags & O_NONBLOCK) && fcntl(file, F_SETFL, flags & O_ACCMODE) < 0)
		return -errno;
	flock(file, LOCK_SH | LOCK_NB);
	return fd_steal(&file);
}

void ipc_mq_fd_give_away(struct ipc *ipc, const struct ipc_object *object)
{
	int held = ipc_held(ipc, KEEP_QUEUE, object->serial);

	if (held < 0)
		return;
	/* chown first: it clears bits of the mode. */
	if (fchown(held, object->uid, object->gid) == 0 &&
	    fchmod(held, object->mode & 0777) == 0 &&
	    patience_do(object->serial, try_again, held, O_RDWR, PATIENCE_LONG_MS) == 0) {
		ARENA_SET(&ipc->arena, object->flags, object->flags | IPC_SHOWN);
		return;
	}
	/* It stays ours, and nobody else opens it anew. */
	if (fchmod(held, 0600) < 0 || fchown(held, geteuid(), (gid_t)-1) < 0)
		fchmod(held, 0);
}

struct stat ipc_mq_fd_stat(const struct ipc *ipc, const struct ipc_object *object)
{
	int held = ipc_held(ipc, KEEP_QUEUE, object->serial);
	struct stat status;

	if (held < 0 || fstat(held, &status) < 0)
		status = (struct stat){.st_nlink = 0};
	/* An owner may have changed what is shown. */
	if (!(object->flags & IPC_SHOWN) || held < 0) {
		status.st_uid = object->uid;
		status.st_gid = object->gid;
		status.st_mode = object->mode;
	}
	status.st_mode = S_IFREG | (status.st_mode & 0777);
	return status;
}

bool ipc_mq_fd_is_open(const struct ipc *ipc, const struct ipc_object *object)
{
	int held = ipc_held(ipc, KEEP_QUEUE, object->serial);

	if (held < 0)
		return false;
	if (flock(held, LOCK_EX | LOCK_NB) < 0)
		return true;
	flock(held, LOCK_UN);
	return false;
}

/* Nothing that would have to be asked of whoever serves that file, or that can be held up by who
 * uses it. */
static bool identify(int file, struct statx *ret_status)
{
	return statx(file, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO,
	             ret_status) == 0 &&
	       S_ISFIFO(ret_status->stx_mode);
}

const struct ipc_object *ipc_mq_fd_whose(const struct ipc *ipc, int file, int *ret_access)
{
	const struct ipc_object *object = NULL;
	struct statx theirs;
	struct stat ours;
	int flags = fcntl(file, F_GETFL);

	if (flags < 0 || (flags & O_PATH) || (flags & O_ACCMODE) > O_RDWR ||
	    !identify(file, &theirs))
		return NULL;
	while ((object = ipc_next(ipc, WIRE_MQ, object))) {
		int held = ipc_held(ipc, KEEP_QUEUE, object->serial);

		if (held < 0 || fstat(held, &ours) < 0 || ours.st_ino != theirs.stx_ino ||
		    ours.st_dev != makedev(theirs.stx_dev_major, theirs.stx_dev_minor))
			continue;
		flock(file, LOCK_SH | LOCK_NB);
		*ret_access = flags & O_ACCMODE;
		return object;
	}
	return NULL;
}

static int packets_of(const struct queue *queue)
{
	if (!queue->count)
		return 0;
	return queue->count < queue->count_max ? 1 : PACKETS;
}

/* As poll(2) shows it, which waits for nobody. */
static int packets_in(int fifo)
{
	struct pollfd ready = {.fd = fifo, .events = POLLIN | POLLOUT};

	if (poll(&ready, 1, 0) < 0)
		return -errno;
	if (!(ready.revents & POLLIN))
		return 0;
	return ready.revents & POLLOUT ? 1 : PACKETS;
}

static int show(int fifo, int wanted)
{
	char packet[PACKET_MAX] = {'\0'};
	int there = packets_in(fifo);

	for (int tries = 0; tries < TRIES_MAX && there >= 0 && there != wanted; tries++) {
		ssize_t size = there < wanted ? write(fifo, packet, 1)
		                              : read(fifo, packet, PACKET_MAX);

		if (size <= 0)
			return 0;
		there = packets_in(fifo);
	}
	return 0;
}

void ipc_mq_show(struct ipc *ipc, const struct ipc_object *object)
{
	const struct queue *queue = ipc_queue(ipc, object);
	int held = ipc_held(ipc, KEEP_QUEUE, object->serial);
	int wanted = queue ? packets_of(queue) : 0;

	if (held >= 0 && packets_in(held) != wanted)
		patience_do(object->serial, show, held, wanted, PATIENCE_SHORT_MS);
}
