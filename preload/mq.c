/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mq_open, mq_close, mq_unlink, mq_send, mq_receive and their kin, but mq_notify. */
#include "preload/mq.h"

#include <limits.h>
#include <stdarg.h>
#include <string.h>

#include "base/own.h"
#include "preload/boot.h"
#include "preload/emu_ipc.h"
#include "preload/export.h"
#include "preload/guard.h"
#include "preload/points.h"
#include "preload/real.h"
#include "preload/shared.h"
#include "preload/sysv.h"
#include "preload/umask.h"

enum {
	SECOND_NS = 1000 * 1000 * 1000,
	PRIORITY_MAX = 32768, /* MQ_PRIO_MAX */
	ANY_MODE = 07777,
};

/* No memory, and not none. */
static char *const nowhere = (char *)(uintptr_t)1;

/* The key of a descriptor that may be a queue's; false: it can't be. */
static bool look_at(int fd, struct mq *ret_queue)
{
	struct stat status;
	int flags = sys_fcntl(fd, F_GETFL, 0);

	if (flags < 0 || (flags & O_PATH) || sys_fstat(fd, &status) < 0 ||
	    !S_ISFIFO(status.st_mode))
		return false;
	*ret_queue = (struct mq){
		.fd = fd,
		.flags = flags,
		.key = {status.st_dev, status.st_ino, (unsigned)flags & O_ACCMODE},
	};
	return true;
}

static int ask_which(struct mq *queue)
{
	struct client_ipc call = client_ipc_make(WIRE_MQ_OF);

	call.file = queue->fd;
	if (ask_ipc(&call, CLIENT_PATIENT, false) < 0)
		return -EBADF;
	queue->known = (struct mq_known){call.told.handle, call.told.size};
	mq_table_add(&queue->key, &queue->known);
	return 0;
}

int mq_find(int fd, struct mq *ret_queue)
{
	if (!look_at(fd, ret_queue))
		return -EBADF;
	return mq_table_find(&ret_queue->key, &ret_queue->known) ? 0 : ask_which(ret_queue);
}

/* The queue that the table had at this key is gone. Is there another? */
static bool find_anew(struct mq *queue)
{
	struct wire_handle before = queue->known.handle;

	mq_table_forget(&queue->key);
	return ask_which(queue) == 0 && queue->known.handle.number != before.number;
}

/* A daemon that has gone for good has no queues. */
static int outcome(int result)
{
	return result == -ESTALE || result == -EIDRM ? -EBADF : result;
}

int mq_ask(struct mq *queue, struct client_ipc *call, enum client_wait wait, bool is_cancellable)
{
	int result;

	call->asked.queue = queue->known.handle;
	result = outcome(ask_ipc(call, wait, is_cancellable));
	if (result == -EBADF && find_anew(queue)) {
		call->asked.queue = queue->known.handle;
		result = outcome(ask_ipc(call, wait, is_cancellable));
	}
	return result;
}

int mq_ask_present(struct mq *queue, struct client_ipc *call)
{
	int result;

	call->asked.queue = queue->known.handle;
	result = outcome(ask_ipc_present(call, CLIENT_PATIENT, false));
	if (result == -EBADF && find_anew(queue)) {
		call->asked.queue = queue->known.handle;
		result = outcome(ask_ipc_present(call, CLIENT_PATIENT, false));
	}
	return result;
}

/* As the kernel judges them: without the slash that libc has taken away. */
static int judge_name(const char *name)
{
	char first;
	size_t length;

	if (sysv_take(&first, name, sizeof first) < 0)
		return -EFAULT;
	length = strnlen(name, PATH_MAX);
	if (length == 0)
		return -ENOENT;
	if (length >= PATH_MAX)
		return -ENAMETOOLONG;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strchr(name, '/'))
		return -EACCES;
	return length > NAME_MAX ? -ENAMETOOLONG : 0;
}

static void note(int fd, const struct client_ipc *call)
{
	struct mq queue;

	if (!look_at(fd, &queue))
		return;
	queue.known = (struct mq_known){call->told.handle, call->told.size};
	mq_table_add(&queue.key, &queue.known);
	mq_quick_set(fd, &queue.key, &queue.known);
	mq_mark(fd, true);
}

long emu_mq_open(const char *name, int flags, mode_t mode, const struct mq_attr *attributes)
{
	struct client_ipc call = client_ipc_make(WIRE_MQ_OPEN);
	struct mq_attr wanted;
	int64_t sizes[2];
	int result = attributes ? sysv_take(&wanted, attributes, sizeof wanted) : 0;

	if (result == 0)
		result = judge_name(name);
	if (result < 0)
		return result;
	wire_request_name(&call.request, name, strlen(name));
	call.asked.flags = (uint32_t)flags;
	if (flags & O_CREAT) {
		call.request.mode = mode & ~umask_read() & ANY_MODE;
		if (attributes) {
			sizes[0] = wanted.mq_maxmsg;
			sizes[1] = wanted.mq_msgsize;
			call.bytes = sizes;
			call.asked.length = sizeof sizes;
		}
	}
	result = ask_ipc(&call, CLIENT_PATIENT, false);
	if (result < 0)
		return result;
	if (call.fd < 0)
		return -ENOSYS;
	note(call.fd, &call);
	return call.fd;
}

long emu_mq_unlink(const char *name)
{
	struct client_ipc call = client_ipc_make(WIRE_MQ_UNLINK);
	int result = judge_name(name);

	if (result < 0)
		return result;
	wire_request_name(&call.request, name, strlen(name));
	return ask_ipc(&call, CLIENT_PATIENT, false);
}

/* 0, -EFAULT, or -EINVAL for what is no time. */
static int set_deadline(struct client_ipc *call, const struct timespec *deadline)
{
	struct timespec time;

	if (!deadline)
		return 0;
	if (sysv_take(&time, deadline, sizeof time) < 0)
		return -EFAULT;
	if (time.tv_sec < 0 || time.tv_nsec < 0 || time.tv_nsec >= SECOND_NS)
		return -EINVAL;
	if (__builtin_mul_overflow(time.tv_sec, SECOND_NS, &call->asked.deadline) ||
	    __builtin_add_overflow(call->asked.deadline, time.tv_nsec, &call->asked.deadline))
		call->asked.deadline = WIRE_NO_DEADLINE;
	return 0;
}

static struct shared_key key_of(const struct mq_known *known)
{
	return (struct shared_key){WIRE_MQ, known->handle.number, &known->handle};
}

static struct shared_wait wait_of(int fd, const struct timespec *deadline)
{
	return (struct shared_wait){.fd = fd, .asks = deadline != NULL, .how = CLIENT_RESTART};
}

/* Without the daemon, if we share the queue: 0 or -errno, or SHARED_ASK. */
static int send_quickly(mqd_t fd, const char *text, size_t size, unsigned priority,
                        struct shared_wait *wait)
{
	struct mq_known known;
	struct shared_key key;
	unsigned access;

	if (!mq_quick_find(fd, &access, &known) || access == O_RDONLY)
		return SHARED_ASK;
	key = key_of(&known);
	return shared_send(&key, priority, text, size, wait);
}

static void note_use(const struct mq *queue)
{
	struct shared_key key = key_of(&queue->known);

	shared_note(&key);
}

static long send_message(mqd_t fd, const char *text, size_t size, unsigned priority,
                         const struct timespec *deadline)
{
	struct client_ipc call = client_ipc_make(WIRE_MQ_SEND);
	struct shared_wait wait = wait_of(fd, deadline);
	uint64_t last = mq_notify_last();
	struct mq queue;
	int result = set_deadline(&call, deadline);

	if (result == 0 && priority >= PRIORITY_MAX)
		result = -EINVAL;
	if (result == 0)
		result = send_quickly(fd, text, size, priority, &wait);
	if (result == SHARED_ASK)
		result = mq_find(fd, &queue);
	else
		return result;
	if (result < 0)
		return result;
	if (queue.key.access == O_RDONLY)
		return -EBADF;
	if (size > queue.known.size)
		return -EMSGSIZE;
	call.asked.since = wait.since;
	call.asked.flags = (uint32_t)queue.flags & O_NONBLOCK;
	call.asked.number = (int32_t)priority;
	call.bytes = text;
	call.asked.length = (uint32_t)size;
	result = mq_ask(&queue, &call, CLIENT_RESTART, true);
	if (result < 0)
		return result;
	mq_notify_sent(&queue, call.told.cursor, last);
	note_use(&queue);
	return 0;
}

long emu_mq_timedsend(mqd_t queue, const char *text, size_t size, unsigned priority,
                      const struct timespec *deadline)
{
	long result;

	points_tell();
	result = send_message(queue, text, size, priority, deadline);
	points_hear();
	return result;
}

static long receive_quickly(mqd_t fd, char *text, size_t size, unsigned *ret_priority,
                            struct shared_wait *wait, bool *ret_ask)
{
	struct queue_wish wish = {.room = size};
	struct mq_known known;
	struct shared_key key;
	unsigned access;
	unsigned got;
	int64_t priority;
	int64_t result;

	*ret_ask = !mq_quick_find(fd, &access, &known) || access == O_WRONLY ||
	           size < known.size;
	if (*ret_ask)
		return 0;
	key = key_of(&known);
	result = shared_receive(&key, &wish, text, &priority, wait, ret_ask);
	if (*ret_ask || result < 0)
		return result;
	got = (unsigned)priority;
	if (ret_priority && sysv_put(ret_priority, &got, sizeof got) < 0)
		return -EFAULT;
	return result;
}

static long receive_message(mqd_t fd, char *text, size_t size, unsigned *ret_priority,
                            const struct timespec *deadline)
{
	struct shared_wait wait = wait_of(fd, deadline);
	bool ask = true;
	long got;
	struct client_ipc call = client_ipc_make(WIRE_MQ_RECEIVE);
	struct mq queue;
	unsigned priority;
	int result = set_deadline(&call, deadline);

	if (result < 0)
		return result;
	got = receive_quickly(fd, text, size, ret_priority, &wait, &ask);
	if (!ask)
		return got;
	result = mq_find(fd, &queue);
	if (result < 0)
		return result;
	if (queue.key.access == O_WRONLY)
		return -EBADF;
	if (size < queue.known.size)
		return -EMSGSIZE;
	call.asked.since = wait.since;
	call.asked.flags = (uint32_t)queue.flags & O_NONBLOCK;
	call.asked.size = queue.known.size;
	call.text = text ? text : nowhere;
	call.text_room = queue.known.size;
	result = mq_ask(&queue, &call, CLIENT_RESTART, true);
	if (result < 0)
		return result;
	note_use(&queue);
	priority = (unsigned)call.told.type;
	if (ret_priority && sysv_put(ret_priority, &priority, sizeof priority) < 0)
		return -EFAULT;
	return call.told.length;
}

long emu_mq_timedreceive(mqd_t queue, char *text, size_t size, unsigned *ret_priority,
                         const struct timespec *deadline)
{
	long result;

	points_tell();
	result = receive_message(queue, text, size, ret_priority, deadline);
	points_hear();
	return result;
}

static int set_flags(const struct mq *queue, const struct mq_attr *wanted)
{
	/* What makes a fifo's writes messages is not the program's end of it. */
	int flags = (queue->flags & ~(O_NONBLOCK | O_DIRECT)) | (int)wanted->mq_flags;

	return sys_fcntl(queue->fd, F_SETFL, flags);
}

long emu_mq_getsetattr(mqd_t fd, const struct mq_attr *attributes, struct mq_attr *ret_before)
{
	struct client_ipc call = client_ipc_make(WIRE_MQ_ATTRIBUTES);
	struct wire_ipc_stat stat = {0};
	struct mq_attr wanted = {0}, before = {0};
	struct mq queue;
	int result;

	if (attributes && sysv_take(&wanted, attributes, sizeof wanted) < 0)
		return -EFAULT;
	if (wanted.mq_flags & ~O_NONBLOCK)
		return -EINVAL;
	result = mq_find(fd, &queue);
	call.text = &stat;
	call.text_room = sizeof stat;
	if (result == 0 && ret_before)
		result = mq_ask(&queue, &call, CLIENT_PATIENT, false);
	if (result == 0 && attributes)
		result = set_flags(&queue, &wanted);
	if (result < 0 || !ret_before)
		return result;
	before.mq_flags = queue.flags & O_NONBLOCK;
	before.mq_maxmsg = (long)stat.most;
	before.mq_msgsize = (long)stat.size;
	before.mq_curmsgs = (long)stat.count;
	return sysv_put(ret_before, &before, sizeof before);
}

void mq_polled(int fd)
{
	struct client_ipc call = client_ipc_make(WIRE_MQ_POLLED);
	struct mq queue;

	if (mq_quick_is_told(fd) || !look_at(fd, &queue) ||
	    !mq_table_find(&queue.key, &queue.known))
		return;
	call.asked.queue = queue.known.handle;
	if (ask_ipc(&call, CLIENT_PATIENT, false) >= 0)
		mq_quick_tell(fd);
}

/* When this was the last that had it open, and it has no name, it is gone now. A daemon that is
 * not to be had finds out by itself. */
static void tell_closed(struct mq *queue)
{
	struct client_ipc call = client_ipc_make(WIRE_MQ_LEFT);

	call.asked.queue = queue->known.handle;
	ask_ipc(&call, CLIENT_PATIENT, false);
}

/* A child of vfork has copies of its parent's numbers, and what is known of them is the parent's.
 * The kernel ends a registration even if its process has other descriptors of the queue. */
void mq_part_begin(int fd, struct mq_parting *ret_parting)
{
	struct mq *queue = &ret_parting->queue;

	ret_parting->is_queue = !boot_is_borrowed() && !guard_owns(fd) && look_at(fd, queue) &&
	                        mq_table_find(&queue->key, &queue->known);
	if (ret_parting->is_queue)
		mq_notify_closing(queue);
	if (!boot_is_borrowed())
		mq_mark(fd, false);
}

void mq_part_end(struct mq_parting *parting, bool is_closed)
{
	if (parting->is_queue && is_closed)
		tell_closed(&parting->queue);
}

int mq_close_number(int fd)
{
	struct mq_parting parting;
	int result;

	mq_part_begin(fd, &parting);
	result = guard_close_theirs(fd);
	mq_part_end(&parting, result == 0);
	return result;
}

void mq_close_range(unsigned first, unsigned last)
{
	if (boot_is_borrowed())
		return;
	for (unsigned fd = first; fd <= last && fd < MQ_MARKS_MAX; fd++) {
		if (!mq_marks[fd / MQ_MARKS_EACH])
			fd |= MQ_MARKS_EACH - 1;
		else if (mq_is_marked((int)fd))
			mq_close_number((int)fd);
	}
}

EXPORT mqd_t mq_open(const char *name, int flags, ...)
{
	const struct mq_attr *attributes = NULL;
	mode_t mode = 0;
	long result;

	if (flags & O_CREAT) {
		va_list more;

		va_start(more, flags);
		mode = va_arg(more, mode_t);
		attributes = va_arg(more, const struct mq_attr *);
		va_end(more);
	}
	result = name[0] == '/' ? emu_mq_open(name + 1, flags, mode, attributes) : -EINVAL;
	trace_open("mq_open", name, flags, mode, result);
	return export_result((int)result);
}

/* A fortified program's, without the two others: libc ends a program that should have them. */
EXPORT mqd_t __mq_open_2(const char *name, int flags);
EXPORT mqd_t __mq_open_2(const char *name, int flags)
{
	long result;

	if (flags & O_CREAT)
		return REAL(__mq_open_2)(name, flags);
	result = name[0] == '/' ? emu_mq_open(name + 1, flags, 0, NULL) : -EINVAL;
	trace_open("mq_open", name, flags, 0, result);
	return export_result((int)result);
}

/* Closes whatever it is, as libc's does. */
EXPORT int mq_close(mqd_t queue)
{
	return mq_close_number(queue);
}

EXPORT int mq_unlink(const char *name)
{
	long result = name[0] == '/' ? emu_mq_unlink(name + 1) : -EINVAL;

	/* In libc's words. */
	if (result == -EPERM)
		result = -EACCES;
	return export_named("mq_unlink", name, result);
}

EXPORT int mq_send(mqd_t queue, const char *text, size_t size, unsigned priority)
{
	return export_result((int)emu_mq_timedsend(queue, text, size, priority, NULL));
}

EXPORT int mq_timedsend(mqd_t queue, const char *text, size_t size, unsigned priority,
                        const struct timespec *deadline)
{
	return export_result((int)emu_mq_timedsend(queue, text, size, priority, deadline));
}

EXPORT ssize_t mq_receive(mqd_t queue, char *text, size_t size, unsigned *ret_priority)
{
	return export_long(emu_mq_timedreceive(queue, text, size, ret_priority, NULL));
}

EXPORT ssize_t mq_timedreceive(mqd_t queue, char *restrict text, size_t size,
                               unsigned *restrict ret_priority,
                               const struct timespec *restrict deadline)
{
	return export_long(emu_mq_timedreceive(queue, text, size, ret_priority, deadline));
}

EXPORT int mq_getattr(mqd_t queue, struct mq_attr *ret_attributes)
{
	return export_result((int)emu_mq_getsetattr(queue, NULL, ret_attributes));
}

EXPORT int mq_setattr(mqd_t queue, const struct mq_attr *restrict attributes,
                      struct mq_attr *restrict ret_before)
{
	return export_result((int)emu_mq_getsetattr(queue, attributes, ret_before));
}
