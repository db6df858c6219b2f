/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/ipc_share.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "fuse/ipc_mq.h"
#include "fuse/ipc_share_i.h"
#include "fuse/judge.h"
#include "fuse/keep.h"
#include "fuse/peer.h"
#include "fuse/sealed.h"

enum {
	SYSV_SLOTS = 64,
	SHARED_MAX = 256 << 20, /* bytes of all: it is memory that --size does not count */
	BODY_MAX = 8 << 20,
};

static struct ipc_shared *find_shared(const struct ipc *ipc, uint64_t serial)
{
	struct ipc_shared *shared;

	HASH_FIND(hh, ipc->shared, &serial, sizeof serial, shared);
	return shared;
}

static const struct ipc_object *object_of(const struct ipc *ipc, const struct ipc_shared *shared)
{
	const struct ipc_object *object = (const void *)(ipc->arena.bytes + shared->at);

	return object->serial == shared->serial ? object : NULL;
}

/* What is said in the memory may be a client's word by now: how it was made is known without. */
static int look_at(struct ipc *ipc, const struct ipc_object *object, struct ipc_shared *shared)
{
	struct slots_shape shape = {.kind = QUEUE_SYSV, .count = SYSV_SLOTS};
	const struct queue *queue;

	if (shared->family == WIRE_SEM)
		return semwords_view_as(&shared->words, shared->memory, shared->size,
		                        (uint32_t)object->size);
	queue = ipc_queue(ipc, object);
	if (!queue)
		return -EBADMSG;
	/* The host's msgmax may be another by now. */
	shape.room = slots_room(SYSV_SLOTS, shared->size);
	if (shared->family == WIRE_MQ)
		shape = (struct slots_shape){QUEUE_POSIX, (uint32_t)queue->count_max,
		                             queue->size_max};
	return slots_view_as(&shared->slots, shared->memory, shared->size, &shape);
}

static void unlist(struct ipc *ipc, struct ipc_shared *shared)
{
	if (shared->is_listed)
		DL_DELETE(ipc->frozen, shared);
	shared->is_listed = false;
}

static void forget(struct ipc *ipc, struct ipc_shared *shared)
{
	unlist(ipc, shared);
	HASH_DEL(ipc->shared, shared);
	munmap(shared->memory, shared->size);
	free(shared);
}

/* Maps what is held of an object. NULL: no memory, or it is broken. */
static struct ipc_shared *view(struct ipc *ipc, const struct ipc_object *object)
{
	struct ipc_shared *shared = find_shared(ipc, object->serial);
	int fd = ipc_held(ipc, KEEP_BODY, object->serial);
	struct stat status;

	if (shared)
		return shared;
	if (fd < 0 || fstat(fd, &status) < 0)
		return NULL;
	shared = calloc(1, sizeof *shared);
	if (!shared)
		return NULL;
	shared->serial = object->serial;
	shared->at = arena_offset(&ipc->arena, object);
	shared->family = (enum wire_family)object->family;
	shared->size = (size_t)status.st_size;
	shared->memory = mmap(NULL, shared->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared->memory == MAP_FAILED) {
		free(shared);
		return NULL;
	}
	HASH_ADD(hh, ipc->shared, serial, sizeof shared->serial, shared);
	if (look_at(ipc, object, shared) == 0)
		return shared;
	forget(ipc, shared);
	return NULL;
}

static void list_frozen(struct ipc *ipc, struct ipc_shared *shared)
{
	if (!shared->is_listed)
		DL_APPEND(ipc->frozen, shared);
	shared->is_listed = true;
}

static void set_flags(struct ipc *ipc, const struct ipc_object *object, uint32_t flags)
{
	ARENA_SET(&ipc->arena, object->flags, flags);
}

static bool is_thawed(const struct ipc_object *object)
{
	return (object->flags & IPC_SHARED) && !(object->flags & IPC_FROZEN);
}

static void let_loose(const struct ipc_shared *shared)
{
	if (shared->family == WIRE_SEM)
		semwords_thaw(&shared->words);
	else
		slots_thaw(&shared->slots);
}

/* Whether the turn counts. */
static bool end_lone(struct ipc *ipc, int result)
{
	if (result < 0)
		ipc_roll_back(ipc);
	return result == 0 && ipc_end_lone(ipc);
}

/* Who is woken for nothing sleeps again, and a signal that comes meanwhile does not interrupt it:
 * nobody is woken by a look, or by a message that is another's. */
static void note_frozen(struct ipc *ipc, const struct ipc_object *object,
                        struct ipc_shared *shared)
{
	const struct queue *queue = shared->family == WIRE_SEM ? NULL : ipc_queue(ipc, object);

	list_frozen(ipc, shared);
	shared->owes_wake = queue != NULL;
	if (queue)
		shared->was = *queue;
}

/* To those who sleep at what they are to ask for. */
static void pay_wake(struct ipc_shared *shared)
{
	if (!shared->owes_wake)
		return;
	slots_wake_all(&shared->slots);
	slots_settle(&shared->slots);
	shared->owes_wake = false;
}

/* Takes the truth back, in a turn of its own. */
static int freeze(struct ipc *ipc, const struct ipc_object *object)
{
	struct ipc_shared *shared;
	int result;

	if (!is_thawed(object))
		return 0;
	shared = view(ipc, object);
	if (!shared)
		return -ENOMEM;
	if (shared->family == WIRE_SEM)
		semwords_freeze(&shared->words);
	else
		slots_freeze(&shared->slots);
	ipc_begin_lone(ipc);
	result = ipc_share_import(ipc, object, shared);
	set_flags(ipc, object, object->flags | IPC_FROZEN);
	if (!end_lone(ipc, result)) {
		let_loose(shared);
		return -ENOMEM;
	}
	note_frozen(ipc, object, shared);
	return 0;
}

/* Somebody is to be told of what comes, or waits, or looks at the fifo. */
static bool is_wanted_here(struct ipc *ipc, const struct ipc_object *object)
{
	return (object->flags & IPC_POLLED) || object->notice_serial ||
	       ipc_waiter_first(ipc, object->serial);
}

/* What is there is what was taken from there, and nobody has been told to ask for it. */
static bool is_untouched(const struct ipc_shared *shared, const struct queue *queue)
{
	return shared->owes_wake && memcmp(&shared->was, queue, sizeof *queue) == 0;
}

static void thaw(struct ipc *ipc, const struct ipc_object *object, struct ipc_shared *shared)
{
	const struct queue *queue = shared->family == WIRE_SEM ? NULL : ipc_queue(ipc, object);
	bool untouched = queue && is_untouched(shared, queue);
	int more = queue ? (int)queue->count - (int)shared->was.count : 0;

	if (!untouched && !ipc_share_export(ipc, object, shared))
		return;
	ipc_begin_lone(ipc);
	set_flags(ipc, object, object->flags & ~(uint32_t)IPC_FROZEN);
	ipc_share_empty(ipc, object);
	if (!end_lone(ipc, 0))
		return;
	unlist(ipc, shared);
	let_loose(shared);
	if (shared->owes_wake && !untouched)
		slots_wake_for(&shared->slots, more);
	if (queue)
		slots_settle(&shared->slots);
	shared->owes_wake = false;
}

void ipc_share_after(struct ipc *ipc)
{
	struct ipc_shared *shared, *next;

	DL_FOREACH_SAFE(ipc->frozen, shared, next) {
		const struct ipc_object *object = object_of(ipc, shared);

		if (object && (object->flags & IPC_SHARED) && !is_wanted_here(ipc, object))
			thaw(ipc, object, shared);
		pay_wake(shared);
	}
}

static int freeze_all(struct ipc *ipc, enum wire_family family)
{
	struct ipc_shared *shared, *next;

	HASH_ITER(hh, ipc->shared, shared, next) {
		const struct ipc_object *object = object_of(ipc, shared);
		int result = object && (!family || shared->family == family) ?
			freeze(ipc, object) : 0;

		if (result < 0)
			return result;
	}
	return 0;
}

/* Which object it is about, if it is about one that can be shared. */
static const struct ipc_object *subject_of(struct ipc *ipc, const struct ipc_call *call)
{
	const struct wire_ipc *asked = call->asked;
	const struct ipc_object *object = NULL;

	switch (call->request->header.op) {
	case WIRE_IPC_CONTROL:
		ipc_find(ipc, (enum wire_family)asked->family, asked->id, &object);
		break;
	case WIRE_SEM_OP:
		ipc_find(ipc, WIRE_SEM, asked->id, &object);
		break;
	case WIRE_MSG_SEND:
	case WIRE_MSG_RECEIVE:
		ipc_find(ipc, WIRE_MSG, asked->id, &object);
		break;
	case WIRE_MQ_SEND:
	case WIRE_MQ_RECEIVE:
	case WIRE_MQ_ATTRIBUTES:
	case WIRE_MQ_NOTIFY:
	case WIRE_MQ_LEFT:
	case WIRE_MQ_POLLED:
		object = ipc_find_serial(ipc, WIRE_MQ, asked->queue.number);
		break;
	default:
		break;
	}
	return object;
}

int ipc_share_before(struct ipc *ipc, const struct ipc_call *call)
{
	unsigned op = call->request->header.op;
	const struct ipc_object *object;

	if (!ipc->shared)
		return 0;
	if (op == WIRE_IPC_LIST)
		return freeze_all(ipc, 0);
	/* Of all, whatever the id is. */
	if (op == WIRE_IPC_CONTROL && call->asked->family == WIRE_MSG &&
	    call->asked->command == MSG_INFO)
		return freeze_all(ipc, WIRE_MSG);
	object = subject_of(ipc, call);
	if (object)
		return freeze(ipc, object);
	/* By an index, or about all. */
	return op == WIRE_IPC_CONTROL ? freeze_all(ipc, (enum wire_family)call->asked->family) : 0;
}

/* Of the largest message. */
static uint64_t room_of(const struct ipc *ipc, const struct queue *queue)
{
	return queue->kind == QUEUE_SYSV ? ipc->limits.msgmax : queue->size_max;
}

static size_t body_size(struct ipc *ipc, const struct ipc_object *object)
{
	const struct queue *queue;

	if (object->family == WIRE_SEM)
		return object->size <= SEMWORDS_COUNT_MAX ?
			semwords_size((uint32_t)object->size) : 0;
	queue = ipc_queue(ipc, object);
	if (!queue || room_of(ipc, queue) > WIRE_BYTES_MAX)
		return 0;
	if (object->family == WIRE_MSG)
		return slots_size(SYSV_SLOTS, room_of(ipc, queue));
	if (queue->count_max < 1 || queue->count_max > SLOTS_COUNT_MAX)
		return 0;
	return slots_size((uint32_t)queue->count_max, queue->size_max);
}

static void fill(struct ipc *ipc, const struct ipc_object *object, void *memory)
{
	const struct queue *queue;

	if (object->family == WIRE_SEM) {
		semwords_make(memory, (uint32_t)object->size);
		return;
	}
	queue = ipc_queue(ipc, object);
	slots_make(memory, (enum queue_kind)queue->kind,
	           object->family == WIRE_MSG ? SYSV_SLOTS : (uint32_t)queue->count_max,
	           room_of(ipc, queue), queue->bytes_max);
}

/* Frozen, and empty. */
static int hold_body(struct ipc *ipc, const struct ipc_object *object, size_t size)
{
	int fd = sealed_new("shmemu-ipc", size);
	void *memory;

	if (fd < 0)
		return fd;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		close(fd);
		return -EOPNOTSUPP;
	}
	fill(ipc, object, memory);
	munmap(memory, size);
	return ipc_hold(ipc, KEEP_BODY, object->serial, fd) < 0 ? -ENOMEM : 0;
}

/* Each takes one of our descriptors and one of the keeper's, which connections need as well. */
static bool are_too_many(const struct ipc *ipc)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
	       HASH_COUNT(ipc->shared) >= limit.rlim_cur / 4;
}

static int make_body(struct ipc *ipc, const struct ipc_object *object)
{
	const struct ipc_header *header = ipc_header(ipc);
	size_t size = body_size(ipc, object);
	int result;

	if (!size || size > BODY_MAX || header->shared_bytes + size > SHARED_MAX ||
	    !ipc->arena.is_mapped || are_too_many(ipc))
		return -EOPNOTSUPP;
	result = hold_body(ipc, object, size);
	if (result < 0)
		return result;
	ARENA_SET(&ipc->arena, header->shared_bytes, header->shared_bytes + size);
	set_flags(ipc, object, object->flags | IPC_SHARED | IPC_FROZEN);
	return 0;
}

/* Who may read and write it. */
static int find_queue(struct ipc *ipc, struct ipc_call *call, const struct ipc_object **ret_object)
{
	const struct ipc_object *object;
	struct stat status;
	int access;

	object = ipc_mq_asked(ipc, call, &access);
	if (!object)
		return -EBADF;
	status = ipc_mq_fd_stat(ipc, object);
	*ret_object = object;
	return judge_access(&call->peer->actor, &status, JUDGE_READ | JUDGE_WRITE);
}

static int find_asked(struct ipc *ipc, struct ipc_call *call, const struct ipc_object **ret_object)
{
	const struct wire_ipc *asked = call->asked;
	int result;

	if (asked->family == WIRE_MQ)
		return find_queue(ipc, call, ret_object);
	if (asked->family != WIRE_SEM && asked->family != WIRE_MSG)
		return -EINVAL;
	result = ipc_find(ipc, (enum wire_family)asked->family, asked->id, ret_object);
	return result < 0 ? result : ipc_allow(call, *ret_object, 0600);
}

int ipc_share(struct ipc *ipc, struct ipc_call *call)
{
	const struct ipc_presence *presence;
	const struct ipc_object *object;
	struct ipc_shared *shared;
	int result = ipc_presence_of(ipc, &call->asked->presence, &presence);

	if (result == 0 && !presence)
		result = -EINVAL;
	if (result == 0)
		result = find_asked(ipc, call, &object);
	if (result == 0 && !(object->flags & IPC_SHARED))
		result = make_body(ipc, object);
	if (result < 0)
		return result;
	shared = view(ipc, object);
	if (!shared)
		return -EOPNOTSUPP;
	if (object->flags & IPC_FROZEN)
		list_frozen(ipc, shared);
	call->fd = fcntl(ipc_held(ipc, KEEP_BODY, object->serial), F_DUPFD_CLOEXEC, 0);
	if (call->fd < 0)
		return -errno;
	call->told.size = shared->size;
	return 0;
}

int ipc_share_polled(struct ipc *ipc, struct ipc_call *call)
{
	int access;
	const struct ipc_object *object = ipc_mq_asked(ipc, call, &access);

	if (!object)
		return -EBADF;
	if (!(object->flags & IPC_POLLED))
		set_flags(ipc, object, object->flags | IPC_POLLED);
	ipc_mq_show(ipc, object);
	return 0;
}

void ipc_share_revoke(struct ipc *ipc, const struct ipc_object *object)
{
	const struct ipc_header *header = ipc_header(ipc);
	uint64_t left = header->shared_bytes;
	uint64_t size;

	if (!(object->flags & IPC_SHARED))
		return;
	size = body_size(ipc, object);
	ARENA_SET(&ipc->arena, header->shared_bytes, size < left ? left - size : 0);
	set_flags(ipc, object, object->flags & ~(uint32_t)(IPC_SHARED | IPC_FROZEN));
	ipc_let_go(ipc, KEEP_BODY, object->serial);
}

static void abandon(const struct ipc_shared *shared)
{
	if (shared->family == WIRE_SEM)
		semwords_abandon(&shared->words);
	else
		slots_abandon(&shared->slots);
}

void ipc_share_drop(struct ipc *ipc, uint64_t serial)
{
	struct ipc_shared *shared = find_shared(ipc, serial);

	if (!shared)
		return;
	abandon(shared);
	forget(ipc, shared);
}

void ipc_share_discard(struct ipc *ipc)
{
	struct ipc_shared *shared, *next;

	HASH_ITER(hh, ipc->shared, shared, next)
		abandon(shared);
}

int ipc_share_leave_begin(struct ipc *ipc, const struct ipc_presence *presence)
{
	uint64_t at = presence->undos;
	int result = 0;

	while (at && result == 0 && ipc->shared) {
		const struct ipc_undo *undo = arena_at(&ipc->arena, at, sizeof *undo);
		const struct ipc_object *object = ipc_find_serial(ipc, WIRE_SEM, undo->serial);

		if (object)
			result = freeze(ipc, object);
		at = undo->next;
	}
	return result;
}

void ipc_share_leave_end(struct ipc *ipc, unsigned owner)
{
	struct ipc_shared *shared, *next;

	HASH_ITER(hh, ipc->shared, shared, next) {
		if (shared->family == WIRE_SEM)
			continue;
		slots_release(&shared->slots, owner);
		pay_wake(shared);
		slots_wake_instead(&shared->slots, owner);
	}
}

/* Of a turn that did not come to its end, or that had come to it: clients who have it may be those
 * that it was revoked from. */
static void drop_left(struct ipc *ipc, const struct ipc_object *object)
{
	if (ipc_held(ipc, KEEP_BODY, object->serial) < 0)
		return;
	view(ipc, object);
	ipc_let_go(ipc, KEEP_BODY, object->serial);
	ipc_held_commit(ipc);
}

static void take_over(struct ipc *ipc, const struct ipc_object *object, struct ipc_shared *shared)
{
	if (object->flags & IPC_FROZEN)
		list_frozen(ipc, shared);
	else
		let_loose(shared);
	shared->owes_wake = shared->family != WIRE_SEM &&
	                    __atomic_load_n(&shared->slots.head->owed, __ATOMIC_SEQ_CST);
	/* What has changed since is not known. */
	pay_wake(shared);
}

void ipc_share_restore(struct ipc *ipc)
{
	static const enum wire_family families[] = {WIRE_SEM, WIRE_MSG, WIRE_MQ};

	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
		const struct ipc_object *object = NULL;

		while ((object = ipc_next(ipc, families[i], object))) {
			struct ipc_shared *shared = object->flags & IPC_SHARED ?
				view(ipc, object) : NULL;

			if (!(object->flags & IPC_SHARED))
				drop_left(ipc, object);
			if (shared)
				take_over(ipc, object, shared);
		}
	}
}

void ipc_share_free(struct ipc *ipc)
{
	struct ipc_shared *shared, *next;

	HASH_ITER(hh, ipc->shared, shared, next)
		forget(ipc, shared);
}
