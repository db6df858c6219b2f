/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cli/objects.h"
#include "cli/say.h"

struct report {
	bool aloud;
	int count;
	bool in_use;
};

/* Behind its name: how much of it there is. */
static void describe(const struct object *object, char *text, size_t size)
{
	uint64_t count = object->ipc ? object->ipc->stat.count : 0;

	switch (object->kind) {
	case OBJECT_SHM:
		snprintf(text, size, " (id %" PRId32 ") of %" PRIu64 " bytes",
		         object->ipc->stat.id, object->size);
		break;
	case OBJECT_SEM:
		snprintf(text, size, " (id %" PRId32 "), %" PRIu64 " of them",
		         object->ipc->stat.id, object->size);
		break;
	case OBJECT_MSG:
		snprintf(text, size, " (id %" PRId32 "), %" PRIu64 " of %" PRIu64 " bytes",
		         object->ipc->stat.id, count, object->size);
		break;
	case OBJECT_QUEUE:
		snprintf(text, size, " with %" PRIu64 " message%s", count, count == 1 ? "" : "s");
		break;
	default:
		snprintf(text, size, " of %" PRIu64 " bytes", object->size);
	}
}

/* Of folders and their like the daemon can't tell. */
static bool is_in_use(const struct object *object)
{
	return object->state == OBJECT_HELD && (!object->entry || S_ISREG(object->entry->mode));
}

static void visit(void *context, const struct object *object)
{
	struct report *report = context;
	bool has_command = object->command[0] != '\0';
	char amount[128];

	if (object->state == OBJECT_REMOVED)
		return;
	report->count++;
	report->in_use |= is_in_use(object);
	if (!report->aloud)
		return;
	describe(object, amount, sizeof amount);
	say("left behind: %s %s%s, made by process %" PRIu32 "%s%s%s%s",
	    object_kind_words(object->kind), object->name, amount, object->maker,
	    has_command ? " (" : "", has_command ? object->command : "", has_command ? ")" : "",
	    is_in_use(object) ? ", in use" : "");
}

int report_names(int sock, bool aloud, bool *ret_in_use)
{
	struct report report = {.aloud = aloud};
	int result = objects_each(sock, WIRE_LIST_HOLDERS, visit, &report);

	if (result < 0)
		return result;
	*ret_in_use = report.in_use;
	return report.count;
}
