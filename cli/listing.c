/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/holders.h"
#include "cli/say.h"

enum { ROOM_FIRST = 64 };

struct reading {
	struct listing listing;
	bool orphans;
};

static struct listed *add(struct listing *listing)
{
	if (listing->count == listing->room) {
		size_t room = listing->room ? 2 * listing->room : ROOM_FIRST;
		struct listed *all = reallocarray(listing->all, room, sizeof *all);

		if (!all)
			fail("cannot make a list: %s", strerror(ENOMEM));
		listing->all = all;
		listing->room = room;
	}
	return &listing->all[listing->count++];
}

static void note_ipc(struct listed *listed, const struct wire_ipc_entry *ipc)
{
	enum object_kind kind = listed->object.kind;

	listed->is_ipc = true;
	listed->id = kind == OBJECT_QUEUE ? -1 : ipc->stat.id;
	listed->count = kind == OBJECT_SEM ? ipc->stat.size : ipc->stat.count;
	listed->most = ipc->stat.most;
	listed->processes = ipc->holders;
}

static void note(void *context, const struct object *object)
{
	struct reading *reading = context;
	struct listed *listed;

	if (object->state == OBJECT_ORPHAN)
		reading->listing.orphans++;
	else if (reading->orphans)
		return;
	listed = add(&reading->listing);
	*listed = (struct listed){
		.object = *object, .place = reading->listing.count, .id = -1,
	};
	strncpy(listed->command, object->command, sizeof listed->command - 1);
	if (object->ipc) {
		note_ipc(listed, object->ipc);
	} else {
		listed->device = object->entry->device;
		listed->file = object->entry->file;
	}
	listed->object.entry = NULL;
	listed->object.ipc = NULL;
}

int listing_read(int sock, bool orphans, struct listing *ret_listing)
{
	struct reading reading = {.listing = LISTING_NULL, .orphans = orphans};
	struct wire_status status;
	int result = ask_try_status(sock, &status);

	if (result == 0)
		result = objects_each(sock, WIRE_LIST_HOLDERS | WIRE_LIST_BIRTH, note, &reading);
	if (result < 0) {
		listing_free(&reading.listing);
		return result;
	}
	reading.listing.holders = holders_find((pid_t)status.pid, (pid_t)status.keeper);
	for (size_t i = 0; i < reading.listing.count; i++)
		reading.listing.all[i].object.command = reading.listing.all[i].command;
	*ret_listing = reading.listing;
	return 0;
}

void listing_free(struct listing *listing)
{
	free(listing->all);
	holders_free(listing->holders);
	*listing = LISTING_NULL;
}

static int descending(uint64_t left, uint64_t right)
{
	return left > right ? -1 : left < right;
}

static int compare(const struct object *left, const struct object *right, enum listing_order order)
{
	/* What is not known comes last: as nothing, or as never. */
	switch (order) {
	case LISTING_BY_RESIDENT: return descending(left->resident + 1, right->resident + 1);
	case LISTING_BY_SIZE:
		return descending(left->kind == OBJECT_SEM ? 0 : left->size,
		                  right->kind == OBJECT_SEM ? 0 : right->size);
	case LISTING_BY_AGE:
		return descending((uint64_t)right->birth - 1, (uint64_t)left->birth - 1);
	default: return strcmp(left->name, right->name);
	}
}

static int compare_listed(const void *left, const void *right, void *order)
{
	const struct listed *a = left;
	const struct listed *b = right;
	const enum listing_order *by = order;

	int result = compare(&a->object, &b->object, *by);

	return result ? result : descending(b->place, a->place);
}

void listing_sort(struct listing *listing, enum listing_order order)
{
	if (!listing->count)
		return;
	qsort_r(listing->all, listing->count, sizeof *listing->all, compare_listed, &order);
	/* Each has its command with it. */
	for (size_t i = 0; i < listing->count; i++)
		listing->all[i].object.command = listing->all[i].command;
}
