/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The arena, and turns. */
#include "fuse/ipc.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/random.h>
#include <sys/sem.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "fuse/anon.h"
#include "fuse/ipc_share.h"
#include "fuse/keep.h"
#include "fuse/peer.h"
#include "fuse/siphash.h"

enum { IPC_VERSION = 1, NAP_MILLISECONDS = 10 };

static const uint64_t ipc_magic = 0x637069; /* "ipc" */

/* Address space: memory comes as it is used, but for the log's. */
static const struct arena_shape shape = {
	.size = 512 << 20,
	.log = 1 << 20,
	.tables = 40 << 20,
};

_Static_assert(IPC_TABLES_SIZE <= 40 << 20, "the tables fit");
_Static_assert(sizeof(struct ipc_header) <= IPC_HEADER_SIZE, "as well");

int ipc_new(struct ipc **ret_ipc, struct anon *anon, struct keep *keep)
{
	struct ipc *ipc = calloc(1, sizeof *ipc);

	if (!ipc)
		return -ENOMEM;
	ipc->arena = ARENA_NULL;
	ipc->anon = anon;
	ipc->keep = keep;
	ipc->limits = ipc_limits_read();
	ipc_linger_begin(ipc);
	*ret_ipc = ipc;
	return 0;
}

struct ipc *ipc_free(struct ipc *ipc)
{
	if (!ipc)
		return NULL;
	ipc_share_free(ipc);
	ipc_held_free(ipc);
	ipc_presences_free(ipc);
	ipc_linger_free(ipc);
	arena_deinit(&ipc->arena);
	free(ipc->changed);
	free(ipc->drops);
	free(ipc);
	return NULL;
}

void ipc_discard(struct ipc *ipc)
{
	const struct ipc_object *object = NULL;

	if (!ipc->arena.bytes)
		return;
	ipc_share_discard(ipc);
	while ((object = ipc_next(ipc, WIRE_SHM, object)))
		ipc_shm_forget(ipc, object->serial);
}

static int make_header(struct ipc *ipc)
{
	const struct ipc_header *header = ipc_header(ipc);
	struct ipc_header fresh = {.version = IPC_VERSION, .serial_next = 1, .handle_next = 1};
	int result = arena_claim(&ipc->arena, arena_tables(&ipc->arena), IPC_HEADER_SIZE);

	if (result < 0)
		return result;
	if (header->magic)
		return header->magic == ipc_magic && header->version == IPC_VERSION ? 0
		                                                                   : -EBADMSG;
	if (getrandom(fresh.key, sizeof fresh.key, 0) != sizeof fresh.key)
		return -EIO;
	arena_fill(&ipc->arena, header, &fresh, sizeof fresh);
	arena_fill(&ipc->arena, &header->magic, &ipc_magic, sizeof ipc_magic);
	return 0;
}

/* With the first operation. */
static int make_arena(struct ipc *ipc)
{
	int file;
	int result;

	if (ipc->arena.bytes)
		return 0;
	file = anon_create(ipc->anon, 0, 0);
	if (file < 0)
		return file;
	anon_forget(ipc->anon, 0, 0);
	result = arena_init(&ipc->arena, file, &shape);
	if (result == 0)
		result = make_header(ipc);
	if (result == 0 && ipc->keep)
		result = keep_put(ipc->keep, KEEP_ARENA, 0, ipc->arena.fd);
	if (result < 0)
		arena_deinit(&ipc->arena);
	return result;
}

int ipc_restore(struct ipc *ipc, uint32_t kind, uint64_t id, int fd)
{
	int result;

	if (kind != KEEP_ARENA)
		return ipc_held_restore(ipc, kind, id, fd);
	result = arena_init(&ipc->arena, fd, NULL);
	if (result == 0)
		result = make_header(ipc);
	ipc->is_restoring = result == 0;
	return result;
}

bool ipc_is_dirty(const struct ipc *ipc)
{
	return ipc->arena.bytes && arena_is_dirty(&ipc->arena);
}

static void sweep(struct ipc *ipc)
{
	bool more = ipc_header(ipc)->garbage != 0;

	while (more) {
		ipc_begin_lone(ipc);
		more = ipc_msg_sweep(ipc);
		more = ipc_end_lone(ipc) && more;
	}
}

/* What the turn of an asker's request has come to is noted as it goes on, for the next worker. That
 * it is this request, and not another one with its serial number, by a hash that nobody else can
 * make; that half of it is not all of it, though it is in the socket no more; and that its asker
 * may know the outcome, though another worker has been killed since at the same request. */

static uint64_t hash_of(const struct ipc *ipc, const struct wire_request *request)
{
	uint64_t hash = siphash(ipc_header(ipc)->key, request,
	                        sizeof *request + sizeof(struct wire_ipc));

	return hash ? hash : 1;
}

static void note_begin(struct ipc *ipc, const struct wire_request *request)
{
	const struct ipc_header *header = ipc_header(ipc);

	IPC_FILL(ipc, header->turn_done, 0);
	if (!ipc->is_again)
		IPC_FILL(ipc, header->turn_told, 0);
	IPC_FILL(ipc, header->turn_hash, hash_of(ipc, request));
}

static void note_end(struct ipc *ipc)
{
	const struct ipc_header *header = ipc_header(ipc);

	IPC_FILL(ipc, header->turn_done, 1);
	IPC_FILL(ipc, header->turn_told, 1);
}

void ipc_refuse(struct ipc *ipc, const struct wire_request *request)
{
	if (!ipc->arena.bytes)
		return;
	note_begin(ipc, request);
	note_end(ipc);
}

bool ipc_is_turn(const struct ipc *ipc, const struct wire_request *request)
{
	uint64_t hash = ipc->arena.bytes ? ipc_header(ipc)->turn_hash : 0;

	return !hash || hash == hash_of(ipc, request);
}

/* Returns whether a turn is served again whose outcome may be known. */
static bool settle_turn(struct ipc *ipc, bool serve_again)
{
	const struct ipc_header *header = ipc_header(ipc);
	bool is_dirty = arena_is_dirty(&ipc->arena);
	bool is_lone = header->again;
	bool is_half = header->turn_hash && !header->turn_done;
	bool is_told = header->turn_hash ? header->turn_told : is_dirty && !is_lone;

	if (is_dirty && (serve_again || is_lone || is_half))
		arena_roll_back(&ipc->arena);
	else if (is_dirty)
		arena_commit(&ipc->arena);
	return serve_again && is_told;
}

void ipc_restore_end(struct ipc *ipc, bool serve_again)
{
	const struct ipc_object *object;
	bool is_again;

	if (!ipc->arena.bytes)
		return;
	ipc->is_restoring = false;
	is_again = settle_turn(ipc, serve_again);
	for (int family = WIRE_SHM; family < WIRE_FAMILY_COUNT; family++)
		for (object = ipc_next(ipc, family, NULL); object;
		     object = ipc_next(ipc, family, object))
			ipc_held_want(ipc, object->serial);
	/* What the turn made it will make again. */
	if (is_again)
		ipc_held_want(ipc, ipc_header(ipc)->serial_next);
	ipc_held_drop_unwanted(ipc);
	ipc_shm_forget(ipc, ipc_header(ipc)->shm_removed);
	ipc_shm_forget(ipc, ipc_header(ipc)->serial_next);
	ipc_share_restore(ipc);
	ipc_presences_find(ipc);
	sweep(ipc);
	for (object = ipc_next(ipc, WIRE_MQ, NULL); object; object = ipc_next(ipc, WIRE_MQ, object))
		ipc_mq_show(ipc, object);
	ipc_mq_settle(ipc);
	ipc->is_again = is_again;
	ipc->is_to_settle = true;
	/* What ends now would come before that turn, whose outcome its asker may know already. */
	if (!is_again)
		ipc_restore_done(ipc);
}

void ipc_restore_done(struct ipc *ipc)
{
	if (ipc->is_to_settle)
		ipc_presences_settle(ipc);
	ipc->is_to_settle = false;
	ipc->is_again = false;
}

bool ipc_is_empty(const struct ipc *ipc)
{
	uint64_t objects = 0;

	if (!ipc->arena.bytes)
		return true;
	for (int family = WIRE_SHM; family < WIRE_FAMILY_COUNT; family++)
		objects += ipc_header(ipc)->used[family];
	return objects == 0;
}

static int get(struct ipc *ipc, struct ipc_call *call)
{
	switch (call->asked->family) {
	case WIRE_SHM: return ipc_shm_get(ipc, call);
	case WIRE_SEM: return ipc_sem_get(ipc, call);
	case WIRE_MSG: return ipc_msg_get(ipc, call);
	default: return -EINVAL;
	}
}

static bool goes_by_limits(const struct wire_ipc *asked)
{
	switch (asked->command) {
	case IPC_INFO: return true;
	case IPC_SET: return asked->family == WIRE_MSG;
	case SEM_INFO: return asked->family == WIRE_SEM;
	case MSG_INFO: return asked->family == WIRE_MSG;
	default: return false;
	}
}

static int control(struct ipc *ipc, struct ipc_call *call)
{
	if (goes_by_limits(call->asked))
		ipc_limits_refresh(&ipc->limits, (enum wire_family)call->asked->family);
	switch (call->asked->family) {
	case WIRE_SHM: return ipc_shm_control(ipc, call);
	case WIRE_SEM: return ipc_sem_control(ipc, call);
	case WIRE_MSG: return ipc_msg_control(ipc, call);
	default: return -EINVAL;
	}
}

/* It is the asker's alone, as if it had made it: nothing of it is kept, and no limit would count
 * it. */
static int make_memfd(struct ipc *ipc, struct ipc_call *call)
{
	const struct store_actor *actor = &call->peer->actor;
	OWN_FD file = -1;

	if (anon_is_limited(ipc->anon, actor->uid))
		return -EOPNOTSUPP;
	file = memfd_create(call->request->name, call->asked->flags | MFD_CLOEXEC);
	if (file < 0)
		return -errno;
	if (fchown(file, actor->uid, actor->gid) < 0 && actor->uid != geteuid())
		return -errno;
	call->fd = fd_steal(&file);
	return 0;
}

static int (*const operations[WIRE_OP_COUNT])(struct ipc *ipc, struct ipc_call *call) = {
	[WIRE_IPC_PRESENT] = ipc_present,
	[WIRE_IPC_GET] = get,
	[WIRE_IPC_CONTROL] = control,
	[WIRE_IPC_LIST] = ipc_list,
	[WIRE_SHM_ATTACH] = ipc_shm_attach,
	[WIRE_SHM_COUNT] = ipc_shm_count,
	[WIRE_SEM_OP] = ipc_sem_op,
	[WIRE_MSG_SEND] = ipc_msg_send,
	[WIRE_MSG_RECEIVE] = ipc_msg_receive,
	[WIRE_MQ_OPEN] = ipc_mq_open,
	[WIRE_MQ_UNLINK] = ipc_mq_unlink,
	[WIRE_MQ_OF] = ipc_mq_of,
	[WIRE_MQ_SEND] = ipc_mq_send,
	[WIRE_MQ_RECEIVE] = ipc_mq_receive,
	[WIRE_MQ_ATTRIBUTES] = ipc_mq_attributes,
	[WIRE_MQ_NOTIFY] = ipc_mq_notify,
	[WIRE_MQ_LEFT] = ipc_mq_left,
	[WIRE_MQ_POLLED] = ipc_share_polled,
	[WIRE_IPC_SHARE] = ipc_share,
};

/* Removed while it was waited for, or, which comes to the same, when the call was under way. */
static bool has_gone(const struct ipc *ipc, const struct ipc_call *call)
{
	enum wire_family family = WIRE_MSG;

	switch (call->request->header.op) {
	case WIRE_SEM_OP: family = WIRE_SEM; break;
	case WIRE_MSG_SEND: case WIRE_MSG_RECEIVE: break;
	default: return false;
	}
	return ipc_was_removed(ipc, family, call->asked->id, call->asked->since);
}

int ipc_perform(struct ipc *ipc, struct ipc_call *call)
{
	unsigned op = call->request->header.op;
	int result;

	/* To be asked what there is is no reason to have anything. */
	if (op == WIRE_IPC_LIST && !ipc->arena.bytes)
		return 0;
	if (op == WIRE_MEMFD)
		return make_memfd(ipc, call);
	result = make_arena(ipc);
	if (result < 0)
		return result;
	note_begin(ipc, call->request);
	/* Who asks may have seen its end. But what is served again is served first. */
	if (!ipc->is_again)
		ipc_linger_look(ipc);
	result = ipc_share_before(ipc, call);
	if (result >= 0)
		result = operations[op](ipc, call);
	if (arena_has_overflowed(&ipc->arena))
		result = -ENOMEM;
	if (result == -EINVAL && has_gone(ipc, call))
		result = -EIDRM;
	if (result < 0 || result == IPC_WAITS)
		ipc_roll_back(ipc);
	if (result != IPC_WAITS)
		note_end(ipc);
	return result;
}

/* What the turn has done to queues shows, or that it has not. */
static void show_queues(struct ipc *ipc)
{
	for (size_t i = ipc->changed_before; i < ipc->changed_count; i++) {
		const struct ipc_change *change = &ipc->changed[i];
		const struct ipc_object *object = NULL;

		if (change->family == WIRE_MQ)
			object = ipc_find_serial(ipc, WIRE_MQ, change->serial);
		if (object)
			ipc_mq_show(ipc, object);
	}
}

static void end_turn(struct ipc *ipc)
{
	arena_commit(&ipc->arena);
	for (size_t i = 0; i < ipc->drop_count; i++) {
		for (uint32_t kind = KEEP_SEGMENT; kind <= KEEP_BODY; kind++)
			ipc_let_go(ipc, kind, ipc->drops[i]);
		ipc_shm_forget(ipc, ipc->drops[i]);
	}
	ipc->drop_count = 0;
	ipc_held_commit(ipc);
	show_queues(ipc);
	ipc->changed_before = ipc->changed_count;
}

void ipc_commit(struct ipc *ipc)
{
	if (!ipc->arena.bytes)
		return;
	ipc->is_again = false;
	end_turn(ipc);
	sweep(ipc);
	ipc_mq_settle(ipc);
}

void ipc_roll_back(struct ipc *ipc)
{
	uint64_t made;

	if (!ipc->arena.bytes)
		return;
	ipc->is_again = false;
	made = ipc_header(ipc)->serial_next;
	arena_roll_back(&ipc->arena);
	ipc->drop_count = 0;
	ipc_held_roll_back(ipc);
	if (made != ipc_header(ipc)->serial_next)
		ipc_shm_forget(ipc, ipc_header(ipc)->serial_next);
	show_queues(ipc);
	ipc->changed_count = ipc->changed_before;
}

void ipc_begin_lone(struct ipc *ipc)
{
	ARENA_SET(&ipc->arena, ipc_header(ipc)->again, 1);
}

/* When that is 0 again all is done, and it does not matter any more how the turn ends. */
bool ipc_end_lone(struct ipc *ipc)
{
	ARENA_SET(&ipc->arena, ipc_header(ipc)->again, 0);
	if (arena_has_overflowed(&ipc->arena)) {
		ipc_roll_back(ipc);
		return false;
	}
	end_turn(ipc);
	return true;
}

/* To lose one is to have somebody wait for ever: without memory we wait for some. */
static void *grow(void *array, size_t *room, size_t item)
{
	size_t more = *room ? *room * 2 : 64;
	void *grown;

	while (!(grown = reallocarray(array, more, item)))
		poll(NULL, 0, NAP_MILLISECONDS);
	*room = more;
	return grown;
}

void ipc_changed(struct ipc *ipc, const struct ipc_object *object)
{
	for (size_t i = ipc->changed_before; i < ipc->changed_count; i++)
		if (ipc->changed[i].serial == object->serial)
			return;
	if (ipc->changed_count == ipc->changed_room)
		ipc->changed = grow(ipc->changed, &ipc->changed_room, sizeof *ipc->changed);
	ipc->changed[ipc->changed_count++] = (struct ipc_change){object->serial, object->family};
}

void ipc_drop_with_commit(struct ipc *ipc, uint64_t serial)
{
	if (ipc->drop_count == ipc->drop_room)
		ipc->drops = grow(ipc->drops, &ipc->drop_room, sizeof *ipc->drops);
	ipc->drops[ipc->drop_count++] = serial;
}

uint64_t ipc_next_changed(struct ipc *ipc)
{
	uint64_t serial;

	if (!ipc->changed_before)
		return 0;
	serial = ipc->changed[0].serial;
	memmove(ipc->changed, ipc->changed + 1, --ipc->changed_count * sizeof *ipc->changed);
	ipc->changed_before--;
	return serial;
}

int64_t ipc_now(void)
{
	return time(NULL);
}

uint64_t ipc_secret(struct ipc *ipc)
{
	const struct ipc_header *header = ipc_header(ipc);
	uint64_t secret = siphash(header->key, &header->secrets, sizeof header->secrets);

	ARENA_SET(&ipc->arena, header->secrets, header->secrets + 1);
	return secret;
}
