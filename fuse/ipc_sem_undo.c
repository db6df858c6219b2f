/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/ipc_sem_undo.h"

#include <errno.h>

/* LOG_MORE: arena_room. REAPED: records of sets that are no more, in one turn. */
enum { LOG_MORE = 16, LOG_REST = 512, REAPED = 8, ZEROS = 256 };

static const struct ipc_undo *undo_at(const struct ipc *ipc, uint64_t at)
{
	return arena_at(&ipc->arena, at, sizeof(struct ipc_undo));
}

static size_t size_of(uint64_t semaphores)
{
	return sizeof(struct ipc_undo) + semaphores * sizeof(int16_t);
}

/* Its set, if that is still there. */
static const struct ipc_object *object_of(const struct ipc *ipc, const struct ipc_undo *undo)
{
	const struct ipc_object *object = arena_at(&ipc->arena, undo->object, sizeof *object);

	return object && object->serial == undo->serial ? object : NULL;
}

static const struct ipc_undo *find(const struct ipc *ipc, const struct ipc_presence *presence,
                                   const struct ipc_object *object)
{
	const struct ipc_undo *undo = undo_at(ipc, presence->undos);

	while (undo && undo->serial != object->serial)
		undo = undo_at(ipc, undo->next);
	return undo;
}

const int16_t *ipc_sem_undo_of(const struct ipc *ipc, const struct ipc_presence *presence,
                               const struct ipc_object *object)
{
	const struct ipc_undo *undo = find(ipc, presence, object);

	return undo && undo->epoch == object->undo_epoch ? undo->adjust : NULL;
}

/* What leads to it goes on to the next. */
static void drop(struct ipc *ipc, const uint64_t *link, const struct ipc_undo *undo)
{
	const struct ipc_object *object = object_of(ipc, undo);
	uint64_t at = *link;

	if (object)
		ARENA_SET(&ipc->arena, object->count, object->count - 1);
	ARENA_SET(&ipc->arena, *link, undo->next);
	arena_give(&ipc->arena, at, size_of(undo->semaphores));
}

/* Those of sets that are no more. Each new record takes some away: so there are never many. */
static void reap(struct ipc *ipc, const struct ipc_presence *presence)
{
	const uint64_t *link = &presence->undos;
	int left = REAPED;

	for (const struct ipc_undo *undo = undo_at(ipc, *link); undo && left;
	     undo = undo_at(ipc, *link)) {
		if (object_of(ipc, undo)) {
			link = &undo->next;
			continue;
		}
		drop(ipc, link, undo);
		left--;
	}
}

static int add(struct ipc *ipc, const struct ipc_presence *presence,
               const struct ipc_object *object, const struct ipc_undo **ret_undo)
{
	static const int16_t zeros[ZEROS];
	int64_t at = arena_take(&ipc->arena, size_of(object->size));
	const struct ipc_undo *undo;
	struct ipc_undo head = {
		.next = presence->undos,
		.object = arena_offset(&ipc->arena, object),
		.serial = object->serial,
		.semaphores = object->size,
		.epoch = object->undo_epoch,
	};

	if (at < 0)
		return (int)at;
	undo = arena_at(&ipc->arena, (uint64_t)at, size_of(object->size));
	arena_fill(&ipc->arena, undo, &head, sizeof head);
	for (uint64_t i = 0; i < object->size; i += ZEROS)
		arena_fill(&ipc->arena, &undo->adjust[i], zeros,
		           (object->size - i < ZEROS ? object->size - i : ZEROS) *
		           sizeof zeros[0]);
	ARENA_SET(&ipc->arena, presence->undos, (uint64_t)at);
	ARENA_SET(&ipc->arena, object->count, object->count + 1);
	*ret_undo = undo;
	return 0;
}

static void drop_void(struct ipc *ipc, const struct ipc_presence *presence,
                      const struct ipc_undo *wanted)
{
	const uint64_t *link = &presence->undos;
	const struct ipc_undo *undo = undo_at(ipc, *link);

	while (undo && undo != wanted) {
		link = &undo->next;
		undo = undo_at(ipc, *link);
	}
	if (undo)
		drop(ipc, link, undo);
}

static int have(struct ipc *ipc, const struct ipc_presence *presence,
                const struct ipc_object *object, const struct ipc_undo **ret_undo)
{
	const struct ipc_undo *undo = find(ipc, presence, object);

	if (undo && undo->epoch == object->undo_epoch) {
		*ret_undo = undo;
		return 0;
	}
	if (undo)
		drop_void(ipc, presence, undo);
	reap(ipc, presence);
	return add(ipc, presence, object, ret_undo);
}

int ipc_sem_undo_note(struct ipc *ipc, const struct ipc_presence *presence,
                      const struct ipc_object *object, const struct sembuf *operations,
                      size_t count)
{
	const struct ipc_undo *undo = NULL;
	int result = have(ipc, presence, object, &undo);

	if (result < 0)
		return result;
	if (arena_room(&ipc->arena) < count * (sizeof undo->adjust[0] + LOG_MORE) + LOG_REST)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const int16_t *adjust = &undo->adjust[operations[i].sem_num];
		int16_t after = (int16_t)(*adjust - operations[i].sem_op);

		if ((operations[i].sem_flg & SEM_UNDO) && operations[i].sem_op)
			arena_set(&ipc->arena, adjust, &after, sizeof after);
	}
	return 0;
}

int ipc_sem_undo_void(struct ipc *ipc, const struct ipc_object *object, uint16_t number)
{
	const int16_t none = 0;
	uint64_t left = object->count;

	if (arena_room(&ipc->arena) < left * (sizeof none + LOG_MORE) + LOG_REST)
		return -ENOMEM;
	for (const struct ipc_presence *presence = left ? ipc_presence_next(ipc, NULL) : NULL;
	     presence && left; presence = ipc_presence_next(ipc, presence)) {
		const struct ipc_undo *undo = find(ipc, presence, object);

		if (!undo)
			continue;
		left--;
		if (undo->epoch == object->undo_epoch && undo->adjust[number])
			arena_set(&ipc->arena, &undo->adjust[number], &none, sizeof none);
	}
	return 0;
}

void ipc_sem_undo_void_all(struct ipc *ipc, const struct ipc_object *object)
{
	if (object->count)
		ARENA_SET(&ipc->arena, object->undo_epoch, object->undo_epoch + 1);
}

bool ipc_sem_leave(struct ipc *ipc, const struct ipc_presence *presence)
{
	const struct ipc_undo *undo = undo_at(ipc, presence->undos);
	const struct ipc_object *object = undo ? object_of(ipc, undo) : NULL;

	if (!undo)
		return false;
	if (object) {
		semset_undo(&ipc->arena, object->body, object->size,
		            undo->epoch == object->undo_epoch ? undo->adjust : NULL, presence->pid,
		            ipc_now());
		ipc_changed(ipc, object);
	}
	drop(ipc, &presence->undos, undo);
	return true;
}
