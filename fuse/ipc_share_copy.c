/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between an object's memory that clients share and the arena. */
#include <errno.h>

#include "fuse/ipc_share_i.h"

static int import_set(struct ipc *ipc, const struct ipc_object *object,
                      const struct ipc_shared *shared)
{
	const struct semset *set = semset_at(&ipc->arena, object->body, object->size);
	int64_t otime = __atomic_load_n(&shared->words.head->otime, __ATOMIC_RELAXED);

	if (!set || shared->words.count != object->size)
		return -EBADMSG;
	for (uint32_t i = 0; i < shared->words.count; i++) {
		struct semset_one one = semwords_get(&shared->words, i);

		if (one.value != set->one[i].value || one.pid != set->one[i].pid)
			arena_set(&ipc->arena, &set->one[i], &one, sizeof one);
	}
	if (otime > set->otime)
		ARENA_SET(&ipc->arena, set->otime, otime);
	return 0;
}

static void export_set(struct ipc *ipc, const struct ipc_object *object,
                       const struct ipc_shared *shared)
{
	const struct semset *set = semset_at(&ipc->arena, object->body, object->size);

	for (uint32_t i = 0; set && i < shared->words.count; i++)
		semwords_put(&shared->words, i, &set->one[i]);
	if (set)
		__atomic_store_n(&shared->words.head->otime, set->otime, __ATOMIC_RELAXED);
}

static void import_stamps(struct ipc *ipc, const struct queue *queue,
                          const struct slots_head *head)
{
	for (int i = 0; i < 2; i++) {
		int64_t time = __atomic_load_n(&head->time[i], __ATOMIC_RELAXED);
		uint32_t pid = __atomic_load_n(&head->pid[i], __ATOMIC_RELAXED);

		if (time) {
			ARENA_SET(&ipc->arena, queue->time[i], time);
			ARENA_SET(&ipc->arena, queue->pid[i], pid);
		}
	}
}

static int import_queue(struct ipc *ipc, const struct ipc_object *object,
                        const struct ipc_shared *shared)
{
	const struct queue *queue = ipc_queue(ipc, object);
	const struct queue_stamp none = {0};
	uint64_t bytes_max;
	uint64_t sequence = 0;
	const void *bytes;
	int64_t type;
	int64_t size;
	int result = 0;

	if (!queue)
		return -EBADMSG;
	/* There may be more than there is to be from now on. */
	bytes_max = queue->bytes_max;
	ARENA_SET(&ipc->arena, queue->bytes_max, UINT64_MAX);
	for (uint32_t i = 0; i < shared->slots.count && result == 0; i++) {
		size = slots_next_frozen(&shared->slots, &sequence, &type, &bytes);
		if (size < 0)
			break;
		result = queue_send(&ipc->arena, object->body, type, bytes, (size_t)size, &none);
	}
	ARENA_SET(&ipc->arena, queue->bytes_max, bytes_max);
	import_stamps(ipc, queue, shared->slots.head);
	/* What is not a message was written there by a client. */
	return result == -ENOMEM || result == -ENOSPC ? -ENOMEM : 0;
}

/* Copies them, oldest first; false: they are too many. */
static bool export_messages(struct ipc *ipc, const struct queue *queue,
                            const struct ipc_shared *shared)
{
	uint64_t at = queue->first;

	slots_clear_frozen(&shared->slots);
	for (uint64_t i = 0; i < queue->count; i++) {
		const struct queue_message *message = arena_at(&ipc->arena, at, sizeof *message);

		if (!message || slots_put_frozen(&shared->slots, message->type, message->bytes,
		                                 message->size) < 0) {
			slots_clear_frozen(&shared->slots);
			return false;
		}
		at = message->next;
	}
	return true;
}

int ipc_share_import(struct ipc *ipc, const struct ipc_object *object,
                     const struct ipc_shared *shared)
{
	return shared->family == WIRE_SEM ? import_set(ipc, object, shared) :
	                                    import_queue(ipc, object, shared);
}

static void export_head(const struct queue *queue, struct slots_head *head)
{
	__atomic_store_n(&head->bytes_max, queue->bytes_max, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 2; i++) {
		__atomic_store_n(&head->time[i], queue->time[i], __ATOMIC_RELAXED);
		__atomic_store_n(&head->pid[i], queue->pid[i], __ATOMIC_RELAXED);
	}
}

static bool export_queue(struct ipc *ipc, const struct ipc_object *object,
                         const struct ipc_shared *shared)
{
	const struct queue *queue = ipc_queue(ipc, object);

	/* Looked at before they are copied in vain each time: a claim's owner may be stopped. */
	if (!queue || queue->count + slots_claims(&shared->slots) > shared->slots.count ||
	    !export_messages(ipc, queue, shared))
		return false;
	export_head(queue, shared->slots.head);
	return true;
}

bool ipc_share_export(struct ipc *ipc, const struct ipc_object *object,
                      const struct ipc_shared *shared)
{
	if (shared->family != WIRE_SEM)
		return export_queue(ipc, object, shared);
	export_set(ipc, object, shared);
	return true;
}

void ipc_share_empty(struct ipc *ipc, const struct ipc_object *object)
{
	const uint64_t none = 0;
	const struct queue *queue = object->family == WIRE_SEM ? NULL : ipc_queue(ipc, object);

	if (!queue)
		return;
	while (queue_give(&ipc->arena, queue->first, (unsigned)queue->count))
		;
	ARENA_SET(&ipc->arena, queue->first, none);
	ARENA_SET(&ipc->arena, queue->last, none);
	ARENA_SET(&ipc->arena, queue->count, none);
	ARENA_SET(&ipc->arena, queue->bytes, none);
}
