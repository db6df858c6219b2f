/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Objects, keys, ids and permissions, after Linux's ipc/util.c. */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#include "base/look.h"
#include "fuse/ipc_share.h"
#include "fuse/judge.h"
#include "fuse/peer.h"

enum {
	CYCLE_MIN = 64, /* indexes that are gone through before one is used again */
	SEQUENCE_MAX = INT32_MAX >> IPC_INDEX_BITS,
};

static uint64_t table_of(const struct ipc *ipc, enum wire_family family)
{
	return arena_tables(&ipc->arena) + IPC_HEADER_SIZE +
	       (uint64_t)(family - 1) * IPC_OBJECTS_SIZE;
}

static const struct ipc_object *object_at(const struct ipc *ipc, enum wire_family family,
                                          uint64_t index)
{
	uint64_t at = table_of(ipc, family) + index * IPC_OBJECT_SIZE;

	return (const struct ipc_object *)(ipc->arena.bytes + at);
}

static uint64_t index_of(const struct ipc *ipc, const struct ipc_object *object)
{
	uint64_t at = arena_offset(&ipc->arena, object);

	return (at - table_of(ipc, (enum wire_family)object->family)) / IPC_OBJECT_SIZE;
}

int ipc_find_index(const struct ipc *ipc, enum wire_family family, int32_t index,
                   const struct ipc_object **ret_object)
{
	const struct ipc_object *object;

	if (index < 0 || (uint64_t)index >= ipc_header(ipc)->top[family])
		return -EINVAL;
	object = object_at(ipc, family, (uint64_t)index);
	if (!object->serial)
		return -EINVAL;
	*ret_object = object;
	return 0;
}

int ipc_find(const struct ipc *ipc, enum wire_family family, int32_t id,
             const struct ipc_object **ret_object)
{
	const struct ipc_object *object;
	int result = id < 0 ? -EINVAL : ipc_find_index(ipc, family, id & IPC_INDEX_MASK, &object);

	if (result == 0 && object->id != id)
		return -EINVAL;
	if (result == 0)
		*ret_object = object;
	return result;
}

int ipc_find_asked(const struct ipc *ipc, struct ipc_call *call, enum wire_family family, int any,
                   const struct ipc_object **ret_object)
{
	const struct wire_ipc *asked = call->asked;
	const struct ipc_object *object;
	int result;

	if (asked->command == IPC_STAT)
		result = ipc_find(ipc, family, asked->id, &object);
	else
		result = ipc_find_index(ipc, family, asked->id & IPC_INDEX_MASK, &object);
	if (result == 0 && asked->command != any)
		result = ipc_allow(call, object, 0444);
	if (result == 0)
		*ret_object = object;
	return result;
}

bool ipc_was_removed(const struct ipc *ipc, enum wire_family family, int32_t id, int64_t since)
{
	uint64_t index = (uint64_t)id & IPC_INDEX_MASK;
	const struct ipc_object *object;

	if (id < 0 || index >= ipc_header(ipc)->top[family])
		return false;
	object = object_at(ipc, family, index);
	return !object->serial && object->id == id && object->removed >= since;
}

const struct ipc_object *ipc_next(const struct ipc *ipc, enum wire_family family,
                                  const struct ipc_object *after)
{
	uint64_t index = after ? index_of(ipc, after) + 1 : 0;

	for (; index < ipc_header(ipc)->top[family]; index++) {
		const struct ipc_object *object = object_at(ipc, family, index);

		if (object->serial)
			return object;
	}
	return NULL;
}

const struct ipc_object *ipc_find_key(const struct ipc *ipc, enum wire_family family, int32_t key)
{
	const struct ipc_object *object = NULL;

	if (key == IPC_PRIVATE)
		return NULL;
	do
		object = ipc_next(ipc, family, object);
	while (object && object->key != key);
	return object;
}

const struct ipc_object *ipc_find_serial(const struct ipc *ipc, enum wire_family family,
                                         uint64_t serial)
{
	const struct ipc_object *object = NULL;

	do
		object = ipc_next(ipc, family, object);
	while (object && object->serial != serial);
	return object;
}

/* As idr_alloc_cyclic: the first free one from the last on, else from the start. */
static int64_t find_free(const struct ipc *ipc, enum wire_family family)
{
	const struct ipc_header *header = ipc_header(ipc);
	uint64_t end = header->used[family] * 3 / 2;
	uint64_t index;

	end = end < CYCLE_MIN ? CYCLE_MIN : end;
	if (end > 1U << IPC_INDEX_BITS)
		end = 1U << IPC_INDEX_BITS;
	if (family == WIRE_MQ && end > IPC_MQ_MAX)
		end = IPC_MQ_MAX;
	index = header->next_index[family] < end ? header->next_index[family] : 0;
	for (uint64_t tried = 0; tried < end; tried++) {
		if (index >= header->top[family] || !object_at(ipc, family, index)->serial)
			return (int64_t)index;
		index = index + 1 < end ? index + 1 : 0;
	}
	return -ENOSPC;
}

/* Memory behind a record, and all before it. */
static int reach(struct ipc *ipc, enum wire_family family, uint64_t index)
{
	uint64_t top = ipc_header(ipc)->top[family];

	if (index < top)
		return 0;
	ARENA_SET(&ipc->arena, ipc_header(ipc)->top[family], index + 1);
	return arena_claim(&ipc->arena, table_of(ipc, family) + top * IPC_OBJECT_SIZE,
	                   (index + 1 - top) * IPC_OBJECT_SIZE);
}

/* Is the next one to have a certain id? The host goes on saying so, as it has made none itself: it
 * counts once. */
static bool is_said(struct ipc *ipc, enum wire_family family, uint32_t *ret_id)
{
	const struct ipc_header *header = ipc_header(ipc);
	int64_t id = ipc_limits_next_id(family);
	bool is_new = header->next_id[family] != (uint64_t)(id + 1);

	if (is_new)
		ARENA_SET(&ipc->arena, header->next_id[family], (uint64_t)(id + 1));
	*ret_id = (uint32_t)id;
	return is_new && id >= 0;
}

/* That id, or if its place is taken the next after it. */
static int64_t take_said(struct ipc *ipc, enum wire_family family, uint32_t id)
{
	const struct ipc_header *header = ipc_header(ipc);
	uint64_t index = id & IPC_INDEX_MASK;
	int result;

	while (index < header->top[family] && object_at(ipc, family, index)->serial)
		index++;
	if (index > IPC_INDEX_MASK)
		return -ENOSPC;
	result = reach(ipc, family, index);
	return result < 0 ? result : (int64_t)((id & ~(uint32_t)IPC_INDEX_MASK) | index);
}

static int64_t take_next(struct ipc *ipc, enum wire_family family)
{
	const struct ipc_header *header = ipc_header(ipc);
	uint64_t sequence = header->sequence[family];
	int64_t index = find_free(ipc, family);
	int result;

	if (index < 0)
		return index;
	result = reach(ipc, family, (uint64_t)index);
	/* What comes after the last one is of the same round. */
	if ((uint64_t)index < header->next_index[family])
		ARENA_SET(&ipc->arena, header->sequence[family],
		          sequence + 1 < SEQUENCE_MAX ? sequence + 1 : 0);
	ARENA_SET(&ipc->arena, header->next_index[family], (uint64_t)index + 1);
	return result < 0 ? result :
	                    (int64_t)(header->sequence[family] << IPC_INDEX_BITS) | index;
}

/* The id of a record that there is memory behind; all counters are moved on. */
static int64_t claim(struct ipc *ipc, enum wire_family family)
{
	const struct ipc_header *header = ipc_header(ipc);
	int64_t id = -ENOSPC;
	uint32_t said;

	/* What was there once is not looked at for ever. */
	if (!header->used[family])
		ARENA_SET(&ipc->arena, header->top[family], 0);
	if (is_said(ipc, family, &said))
		id = take_said(ipc, family, said);
	/* The kernel would fail, once; here the host would go on saying so. */
	if (id == -ENOSPC)
		id = take_next(ipc, family);
	if (id >= 0)
		ARENA_SET(&ipc->arena, header->used[family], header->used[family] + 1);
	return id;
}

/* Its block's offset, 0: nobody knows, or -errno. */
static int64_t note_creator(struct ipc *ipc, struct ipc_call *call)
{
	const struct store_creator *creator = call->creator ? call->creator(call) : NULL;
	int64_t at = creator ? arena_take(&ipc->arena, sizeof *creator) : 0;

	if (at > 0)
		arena_fill(&ipc->arena, arena_at(&ipc->arena, (uint64_t)at, sizeof *creator),
		           creator, sizeof *creator);
	return at;
}

int ipc_add(struct ipc *ipc, struct ipc_call *call, enum wire_family family, int32_t key,
            uint32_t mode, uint64_t max, const struct ipc_object **ret_object)
{
	const struct ipc_header *header = ipc_header(ipc);
	const struct store_actor *actor = &call->peer->actor;
	struct ipc_object object = {
		.serial = header->serial_next,
		.family = family,
		.key = key,
		.uid = actor->uid,
		.gid = actor->gid,
		.cuid = actor->uid,
		.cgid = actor->gid,
		.mode = mode & 0777,
		.time = {0, 0, ipc_now()},
		.birth = ipc_now(),
	};
	int64_t creator;
	int64_t id;

	if (header->used[family] >= max)
		return -ENOSPC;
	id = claim(ipc, family);
	creator = id < 0 ? id : note_creator(ipc, call);
	if (creator < 0)
		return (int)creator;
	object.creator = (uint64_t)creator;
	object.sequence = (uint32_t)(id >> IPC_INDEX_BITS);
	if (family != WIRE_MQ)
		object.id = (int32_t)id;
	*ret_object = object_at(ipc, family, (uint64_t)id & IPC_INDEX_MASK);
	ARENA_SET(&ipc->arena, header->serial_next, object.serial + 1);
	arena_set(&ipc->arena, *ret_object, &object, sizeof object);
	return 0;
}

/* Its id stays in the record, for those who have waited: see ipc_was_removed. */
void ipc_remove(struct ipc *ipc, const struct ipc_object *object)
{
	const struct ipc_header *header = ipc_header(ipc);

	ipc_share_revoke(ipc, object);
	ipc_changed(ipc, object);
	ipc_drop_with_commit(ipc, object->serial);
	if (object->creator)
		arena_give(&ipc->arena, object->creator, sizeof(struct store_creator));
	ARENA_SET(&ipc->arena, object->removed, (int64_t)look_now());
	ARENA_SET(&ipc->arena, header->used[object->family], header->used[object->family] - 1);
	ARENA_SET(&ipc->arena, object->serial, 0);
}

static bool in_group(const struct store_actor *actor, const struct ipc_object *object)
{
	return judge_in_group(actor, object->cgid) || judge_in_group(actor, object->gid);
}

int ipc_allow(struct ipc_call *call, const struct ipc_object *object, uint32_t want)
{
	const struct store_actor *actor = &call->peer->actor;
	uint32_t granted = object->mode;
	uint32_t wanted = (want >> 6 | want >> 3 | want) & 07;

	if (actor->uid == object->cuid || actor->uid == object->uid)
		granted >>= 6;
	else if (((granted >> 3 ^ granted) & wanted) && in_group(actor, object))
		granted >>= 3;
	if ((wanted & ~granted) == 0 || judge_has_capability(actor, CAP_IPC_OWNER))
		return 0;
	return -EACCES;
}

int ipc_allow_owner(struct ipc_call *call, const struct ipc_object *object)
{
	const struct store_actor *actor = &call->peer->actor;

	if (actor->uid == object->cuid || actor->uid == object->uid ||
	    judge_has_capability(actor, CAP_SYS_ADMIN))
		return 0;
	return -EPERM;
}

int ipc_set_owner(struct ipc *ipc, struct ipc_call *call, const struct ipc_object *object)
{
	const struct wire_ipc_stat *stat = call->bytes;

	if (call->asked->length != sizeof *stat || stat->uid == UINT32_MAX ||
	    stat->gid == UINT32_MAX)
		return -EINVAL;
	/* Those who could have it as memory may not be those who can now. */
	if (object->uid != stat->uid || object->gid != stat->gid ||
	    object->mode != (stat->mode & 0777))
		ipc_share_revoke(ipc, object);
	ARENA_SET(&ipc->arena, object->uid, stat->uid);
	ARENA_SET(&ipc->arena, object->gid, stat->gid);
	ARENA_SET(&ipc->arena, object->mode, stat->mode & 0777);
	ARENA_SET(&ipc->arena, object->time[2], ipc_now());
	return 0;
}

int ipc_own(struct ipc *ipc, struct ipc_call *call, enum wire_family family,
            int (*set)(struct ipc *ipc, struct ipc_call *call, const struct ipc_object *object),
            void (*remove)(struct ipc *ipc, const struct ipc_object *object))
{
	const struct ipc_object *object = NULL;
	int result = ipc_find(ipc, family, call->asked->id, &object);

	if (result == 0)
		result = ipc_allow_owner(call, object);
	if (result < 0)
		return result;
	if (call->asked->command == IPC_SET)
		return set(ipc, call, object);
	remove(ipc, object);
	return 0;
}

const struct queue *ipc_queue(struct ipc *ipc, const struct ipc_object *object)
{
	return arena_at(&ipc->arena, object->body, sizeof(struct queue));
}

struct wire_ipc_stat ipc_describe(const struct ipc_object *object)
{
	return (struct wire_ipc_stat){
		.key = object->key,
		.id = object->id,
		.uid = object->uid,
		.gid = object->gid,
		.cuid = object->cuid,
		.cgid = object->cgid,
		.mode = object->mode | (object->flags & IPC_DEST ? SHM_DEST : 0U) |
		        (object->flags & IPC_LOCKED ? SHM_LOCKED : 0U),
		.sequence = object->sequence,
		.size = object->size,
		.count = object->family == WIRE_SHM ? object->count : 0,
		.time = {object->time[0], object->time[1], object->time[2]},
		.pid = {object->pid[0], object->pid[1]},
		.family = object->family,
	};
}

/* The host's limits may be others by now. */
static int make_one(struct ipc *ipc, struct ipc_call *call, enum wire_family family,
                    int (*make)(struct ipc *ipc, struct ipc_call *call))
{
	ipc_limits_refresh(&ipc->limits, family);
	return make(ipc, call);
}

int ipc_get(struct ipc *ipc, struct ipc_call *call, enum wire_family family,
            int (*make)(struct ipc *ipc, struct ipc_call *call),
            int (*fits)(const struct ipc_object *object, const struct ipc_call *call))
{
	uint32_t flags = call->asked->flags;
	const struct ipc_object *object;
	int result = 0;

	if (call->asked->id == IPC_PRIVATE)
		return make_one(ipc, call, family, make);
	object = ipc_find_key(ipc, family, call->asked->id);
	if (!object && !(flags & IPC_CREAT))
		return -ENOENT;
	if (!object)
		return make_one(ipc, call, family, make);
	if ((flags & IPC_CREAT) && (flags & IPC_EXCL))
		return -EEXIST;
	if (fits)
		result = fits(object, call);
	if (result == 0)
		result = ipc_allow(call, object, flags);
	return result < 0 ? result : object->id;
}
