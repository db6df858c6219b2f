/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All that there is, for whoever asks: as /proc/sysvipc has it. */
#include <string.h>

#include "fuse/ipc_mq.h"
#include "fuse/store.h"

enum { ENTRIES_MAX = WIRE_BYTES_MAX / sizeof(struct wire_ipc_entry), FAMILY_SHIFT = 32 };

/* What a body knows. */
static void describe_queue(struct ipc *ipc, const struct ipc_object *object,
                           struct wire_ipc_stat *stat)
{
	const struct queue *queue = arena_at(&ipc->arena, object->body, sizeof *queue);

	if (!queue)
		return;
	stat->size = object->family == WIRE_MQ ? queue->size_max : queue->bytes_max;
	stat->count = queue->count;
	stat->bytes = queue->bytes;
	stat->most = queue->count_max;
	stat->time[0] = queue->time[0];
	stat->time[1] = queue->time[1];
	stat->pid[0] = queue->pid[0];
	stat->pid[1] = queue->pid[1];
}

static void describe_set(struct ipc *ipc, const struct ipc_object *object,
                         struct wire_ipc_stat *stat)
{
	const struct semset *set = semset_at(&ipc->arena, object->body, object->size);

	if (set)
		stat->time[0] = set->otime;
}

static uint32_t count_waiters(struct ipc *ipc, uint64_t serial)
{
	struct ipc_waiter *waiter = ipc_waiter_first(ipc, serial);
	uint32_t count = 0;

	for (; waiter; waiter = ipc_waiter_after(waiter, serial))
		count++;
	return count;
}

static void describe(struct ipc *ipc, const struct ipc_object *object,
                     struct wire_ipc_entry *ret_entry)
{
	const struct store_creator *creator = arena_at(&ipc->arena, object->creator,
	                                               sizeof *creator);
	const char *name = arena_at(&ipc->arena, object->name, WIRE_NAME_SIZE);

	memset(ret_entry, 0, sizeof *ret_entry);
	ret_entry->stat = ipc_describe(object);
	ret_entry->stat.birth = (uint32_t)object->birth;
	switch (object->family) {
	case WIRE_SHM:
		ret_entry->holders = ipc_shm_holders(ipc, object);
		ret_entry->stat.bytes = ipc_shm_resident(ipc, object);
		break;
	case WIRE_SEM: describe_set(ipc, object, &ret_entry->stat); break;
	default: describe_queue(ipc, object, &ret_entry->stat); break;
	}
	if (object->family != WIRE_SHM)
		ret_entry->holders = count_waiters(ipc, object->serial);
	/* Who has it open only the kernel knows. */
	if (object->family == WIRE_MQ && !ret_entry->holders)
		ret_entry->holders = ipc_mq_fd_is_open(ipc, object);
	if (creator) {
		ret_entry->creator_pid = creator->pid;
		ret_entry->creator_start = creator->start;
		memcpy(ret_entry->creator_command, creator->command, sizeof creator->command);
	}
	if (name)
		memcpy(ret_entry->name, name, strnlen(name, WIRE_NAME_SIZE - 1));
}

/* The cursor is the family and the index of what comes next. */
int ipc_list(struct ipc *ipc, struct ipc_call *call)
{
	struct wire_ipc_entry *entries = call->text;
	uint64_t family = call->request->cursor >> FAMILY_SHIFT;
	uint64_t index = (uint32_t)call->request->cursor;
	const struct ipc_object *object;
	int count = 0;

	/* A killed process's fifo may have been closed after its connections. */
	while (ipc_mq_free_unused(ipc))
		continue;
	for (family = family ? family : WIRE_SHM; family < WIRE_FAMILY_COUNT; family++) {
		bool wanted = !call->asked->family || call->asked->family == family;

		for (; wanted && index < ipc_header(ipc)->top[family]; index++) {
			if (ipc_find_index(ipc, (enum wire_family)family, (int32_t)index,
			                   &object) < 0 || object->flags & IPC_UNLINKED)
				continue;
			if (count == ENTRIES_MAX) {
				call->told.cursor = family << FAMILY_SHIFT | index;
				call->told.length = sizeof *entries * ENTRIES_MAX;
				return count;
			}
			describe(ipc, object, &entries[count++]);
		}
		index = 0;
	}
	call->told.cursor = (uint64_t)WIRE_FAMILY_COUNT << FAMILY_SHIFT;
	call->told.length = (uint32_t)(sizeof *entries * (size_t)count);
	return count;
}
