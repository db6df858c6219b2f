/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* After Linux's ipc/msg.c and ipc/mqueue.c: one chain of messages, new ones mostly at its end. */
#include "base/queue.h"

#include <errno.h>
#include <string.h>
#include <sys/msg.h>

#ifndef MSG_EXCEPT
#define MSG_EXCEPT 020000
#endif
#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

/* Once: what was judged is what is used. */
#define READ_ONCE(place) __atomic_load_n(&(place), __ATOMIC_RELAXED)

enum { ALIGNMENT = 8 };

static const struct queue *queue_at(const struct arena *arena, uint64_t at)
{
	return at % ALIGNMENT ? NULL : arena_at(arena, at, sizeof(struct queue));
}

/* With its bytes, if all is in the arena. */
static const struct queue_message *message_at(const struct arena *arena, uint64_t at,
                                              uint64_t *ret_size)
{
	const struct queue_message *message;

	if (at % ALIGNMENT)
		return NULL;
	message = arena_at(arena, at, sizeof *message);
	if (!message)
		return NULL;
	*ret_size = READ_ONCE(message->size);
	if (*ret_size > ARENA_TAKE_MAX - sizeof *message)
		return NULL;
	return arena_at(arena, at, sizeof *message + *ret_size);
}

/* No chain is longer than the arena has room for, whatever it counts. */
static uint64_t steps_most(const struct arena *arena, const struct queue *queue)
{
	uint64_t most = arena->shape.size / sizeof(struct queue_message);
	uint64_t count = READ_ONCE(queue->count);

	return count < most ? count : most;
}

int64_t queue_new(struct arena *arena, enum queue_kind kind, uint64_t bytes_max,
                  uint64_t count_max, uint64_t size_max)
{
	const struct queue queue = {
		.kind = kind,
		.bytes_max = bytes_max,
		.count_max = count_max,
		.size_max = size_max,
	};
	int64_t at = arena_take(arena, sizeof queue);

	if (at >= 0)
		arena_fill(arena, arena_at(arena, (uint64_t)at, sizeof queue), &queue,
		           sizeof queue);
	return at;
}

void queue_free(struct arena *arena, uint64_t at, uint64_t *ret_first)
{
	const struct queue *queue = queue_at(arena, at);

	*ret_first = queue ? READ_ONCE(queue->first) : 0;
	if (queue)
		arena_give(arena, at, sizeof *queue);
}

static int check_room(const struct queue *queue, size_t size)
{
	uint64_t count = READ_ONCE(queue->count);
	uint64_t bytes_max = READ_ONCE(queue->bytes_max);
	uint64_t bytes = READ_ONCE(queue->bytes);

	if (READ_ONCE(queue->kind) == QUEUE_POSIX) {
		if (size > READ_ONCE(queue->size_max))
			return -EMSGSIZE;
		return count < READ_ONCE(queue->count_max) ? 0 : -EAGAIN;
	}
	if (size > READ_ONCE(queue->size_max))
		return -EINVAL;
	return bytes <= bytes_max && size <= bytes_max - bytes && count < bytes_max ? 0 : -EAGAIN;
}

/* Where the offset of a new message of that type goes: *ret_link, in which now *ret_next is. */
static int find_place(struct arena *arena, const struct queue *queue, int64_t type,
                      const uint64_t **ret_link, uint64_t *ret_next)
{
	uint64_t last = READ_ONCE(queue->last);
	uint64_t left = steps_most(arena, queue);
	const struct queue_message *message;
	uint64_t size;

	*ret_link = &queue->first;
	*ret_next = 0;
	if (!left)
		return 0;
	message = message_at(arena, last, &size);
	if (!message)
		return -EBADMSG;
	if (READ_ONCE(queue->kind) != QUEUE_POSIX || type <= READ_ONCE(message->type)) {
		*ret_link = &message->next;
		return 0;
	}
	/* There is one of less priority: it is in the way of the walk at the latest. */
	while (left--) {
		*ret_next = READ_ONCE(**ret_link);
		message = message_at(arena, *ret_next, &size);
		if (!message)
			return -EBADMSG;
		if (type > READ_ONCE(message->type))
			return 0;
		*ret_link = &message->next;
	}
	return -EBADMSG;
}

static void note(struct arena *arena, const struct queue *queue, int which,
                 const struct queue_stamp *stamp)
{
	ARENA_SET(arena, queue->pid[which], stamp->pid);
	ARENA_SET(arena, queue->time[which], stamp->now);
}

int queue_send(struct arena *arena, uint64_t at, int64_t type, const void *bytes, size_t size,
               const struct queue_stamp *stamp)
{
	const struct queue *queue = queue_at(arena, at);
	struct queue_message message = {.type = type, .size = size};
	const struct queue_message *place;
	const uint64_t *link;
	int64_t block;
	int result = queue ? check_room(queue, size) : -EBADMSG;

	if (result < 0)
		return result;
	if (size > ARENA_TAKE_MAX - sizeof message)
		return -ENOMEM;
	result = find_place(arena, queue, type, &link, &message.next);
	if (result < 0)
		return result;
	block = arena_take(arena, sizeof message + size);
	if (block < 0)
		return (int)block;
	place = arena_at(arena, (uint64_t)block, sizeof message + size);
	if (!place)
		return -EBADMSG;
	arena_fill(arena, place, &message, sizeof message);
	arena_fill(arena, place->bytes, bytes, size);
	ARENA_SET(arena, *link, (uint64_t)block);
	if (!message.next)
		ARENA_SET(arena, queue->last, (uint64_t)block);
	ARENA_SET(arena, queue->count, READ_ONCE(queue->count) + 1);
	ARENA_SET(arena, queue->bytes, READ_ONCE(queue->bytes) + size);
	note(arena, queue, 0, stamp);
	return 0;
}

/* A message on the way along a chain. */
struct found {
	uint64_t before; /* the one before it; 0: it is the first */
	uint64_t at;     /* 0: none */
};

static bool suits(const struct queue_wish *wish, int64_t type)
{
	if (wish->type == 0)
		return true;
	if (wish->type < 0)
		return type <= (wish->type == INT64_MIN ? INT64_MAX : -wish->type);
	return (type == wish->type) != !!(wish->flags & MSG_EXCEPT);
}

/* What is wished for, in a queue of System V. */
static int find_message(const struct arena *arena, const struct queue *queue,
                        const struct queue_wish *wish, struct found *ret_found)
{
	struct found here = {0, READ_ONCE(queue->first)};
	uint64_t count = steps_most(arena, queue);
	int64_t lowest = INT64_MAX;

	for (uint64_t i = 0; i < count; i++) {
		uint64_t size;
		const struct queue_message *message = message_at(arena, here.at, &size);
		int64_t type;

		if (!message)
			return -EBADMSG;
		type = READ_ONCE(message->type);
		if (wish->flags & MSG_COPY) {
			if (wish->type >= 0 && i == (uint64_t)wish->type) {
				*ret_found = here;
				return 0;
			}
		} else if (suits(wish, type) &&
		           (wish->type >= 0 || !ret_found->at || type < lowest)) {
			*ret_found = here;
			lowest = type;
			/* None is lower than 1. */
			if (wish->type >= 0 || type <= 1)
				return 0;
		}
		here = (struct found){here.at, READ_ONCE(message->next)};
	}
	return ret_found->at ? 0 : -EAGAIN;
}

static int find(const struct arena *arena, const struct queue *queue,
                const struct queue_wish *wish, struct found *ret_found)
{
	*ret_found = (struct found){0};
	if (READ_ONCE(queue->kind) != QUEUE_POSIX)
		return find_message(arena, queue, wish, ret_found);
	if (!READ_ONCE(queue->count))
		return -EAGAIN;
	ret_found->at = READ_ONCE(queue->first);
	return 0;
}

static int take_out(struct arena *arena, const struct queue *queue, const struct found *found,
                    uint64_t next, uint64_t size)
{
	uint64_t count = READ_ONCE(queue->count);
	uint64_t bytes = READ_ONCE(queue->bytes);
	const struct queue_message *before = NULL;
	uint64_t ignored;

	if (found->before)
		before = message_at(arena, found->before, &ignored);
	/* The last has none behind it, and is the last one counted if it is the first as well. */
	if ((found->before && !before) || !count || bytes < size ||
	    (next == 0) != (found->at == READ_ONCE(queue->last)) ||
	    (!next && !before) != (count == 1))
		return -EBADMSG;
	if (before)
		ARENA_SET(arena, before->next, next);
	else
		ARENA_SET(arena, queue->first, next);
	if (!next)
		ARENA_SET(arena, queue->last, found->before);
	ARENA_SET(arena, queue->count, count - 1);
	ARENA_SET(arena, queue->bytes, bytes - size);
	arena_give(arena, found->at, sizeof(struct queue_message) + size);
	return 0;
}

int64_t queue_receive(struct arena *arena, uint64_t at, const struct queue_wish *wish, void *room,
                      int64_t *ret_type, const struct queue_stamp *stamp)
{
	const struct queue *queue = queue_at(arena, at);
	const struct queue_message *message;
	struct found found;
	uint64_t size;
	uint64_t copied;
	int result = queue ? find(arena, queue, wish, &found) : -EBADMSG;

	if (result < 0)
		return result;
	message = message_at(arena, found.at, &size);
	if (!message)
		return -EBADMSG;
	copied = size < wish->room ? size : wish->room;
	if (copied < size && !(wish->flags & MSG_NOERROR))
		return -E2BIG;
	/* The copy of a part is no copy. */
	if (copied < size && (wish->flags & MSG_COPY))
		return -EINVAL;
	if (copied)
		memcpy(room, message->bytes, copied);
	*ret_type = READ_ONCE(message->type);
	if (READ_ONCE(queue->kind) != QUEUE_POSIX && (wish->flags & MSG_COPY))
		return (int64_t)copied;
	result = take_out(arena, queue, &found, READ_ONCE(message->next), size);
	if (result < 0)
		return result;
	note(arena, queue, 1, stamp);
	return (int64_t)copied;
}

uint64_t queue_give(struct arena *arena, uint64_t first, unsigned most)
{
	while (first && most--) {
		uint64_t size;
		const struct queue_message *message = message_at(arena, first, &size);
		uint64_t next;

		/* What is broken is lost, with all that is behind it. */
		if (!message)
			return 0;
		next = READ_ONCE(message->next);
		arena_give(arena, first, sizeof *message + size);
		first = next;
	}
	return first;
}
