/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmemu ls: what the daemon holds, who made it and who has it. */
#include <getopt.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cli/ask.h"
#include "cli/holders.h"
#include "cli/objects.h"
#include "cli/option.h"
#include "cli/say.h"
#include "cli/table.h"

struct ls {
	const char *folder;
	bool json;
	bool orphans;
	struct libscols_table *table;
	struct holders *holders;
};

enum column {
	NAME, KIND, ID, SIZE, COUNT, MODE, OWNER, STATE, HOLDERS, PROCESSES, MAKER, COMMAND,
	COLUMN_COUNT,
};

static const struct table_column columns[COLUMN_COUNT] = {
	[NAME] = {"NAME", 0, SCOLS_JSON_STRING},
	[KIND] = {"KIND", 0, SCOLS_JSON_STRING},
	[ID] = {"ID", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER},
	[SIZE] = {"SIZE", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER},
	[COUNT] = {"COUNT", 0, SCOLS_JSON_NUMBER},
	[MODE] = {"MODE", SCOLS_FL_RIGHT, SCOLS_JSON_STRING},
	[OWNER] = {"OWNER", 0, SCOLS_JSON_STRING},
	[STATE] = {"STATE", 0, SCOLS_JSON_STRING},
	[HOLDERS] = {"HOLDERS", 0, SCOLS_JSON_STRING},
	[PROCESSES] = {"PROCESSES", SCOLS_FL_HIDDEN, SCOLS_JSON_NUMBER},
	[MAKER] = {"MAKER", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER},
	[COMMAND] = {"COMMAND", SCOLS_FL_TRUNC, SCOLS_JSON_STRING},
};

static void put_owner(struct libscols_line *line, uid_t uid)
{
	const struct passwd *user = getpwuid(uid);

	if (user)
		table_put(line, OWNER, "%s", user->pw_name);
	else
		table_put(line, OWNER, "%u", uid);
}

static void put_holders(const struct ls *ls, struct libscols_line *line,
                        const struct wire_entry *entry)
{
	char text[256] = "";
	size_t length = 0;
	pid_t pid = 0;

	while ((pid = holders_next(ls->holders, entry->device, entry->file, pid)) &&
	       length < sizeof text - 16)
		length += (size_t)snprintf(text + length, sizeof text - length, "%s%d",
		                           length ? "," : "", (int)pid);
	table_put(line, HOLDERS, "%s%s", text, pid ? ",..." : "");
}

/* What there is besides bytes: as numbers in JSON, with words for people. */
static void put_count(const struct ls *ls, struct libscols_line *line, const struct object *object)
{
	const struct wire_ipc_stat *stat = &object->ipc->stat;
	uint64_t count = object->kind == OBJECT_SEM ? stat->size : stat->count;
	const char *plural = count == 1 ? "" : "s";

	if (ls->json)
		table_put(line, COUNT, "%" PRIu64, count);
	else if (object->kind == OBJECT_SHM)
		table_put(line, COUNT, "%" PRIu64 " attached", count);
	else if (object->kind == OBJECT_SEM)
		table_put(line, COUNT, "%" PRIu64 " semaphore%s", count, plural);
	else if (object->kind == OBJECT_MSG)
		table_put(line, COUNT, "%" PRIu64 " message%s", count, plural);
	else
		table_put(line, COUNT, "%" PRIu64 " of %" PRIu64 " messages", count, stat->most);
}

/* The daemon knows how many, but not always who. */
static void put_processes(const struct ls *ls, struct libscols_line *line,
                          const struct object *object)
{
	uint32_t count = object->ipc->holders;

	table_put(line, PROCESSES, "%" PRIu32, count);
	if (ls->json || count == 0 || object->kind == OBJECT_QUEUE)
		return;
	if (object->kind == OBJECT_SHM)
		table_put(line, HOLDERS, "%" PRIu32 " process%s", count, count == 1 ? "" : "es");
	else
		table_put(line, HOLDERS, "%" PRIu32 " wait%s", count, count == 1 ? "s" : "");
}

static void add_object(void *context, const struct object *object)
{
	const struct ls *ls = context;
	struct libscols_line *line;

	if (ls->orphans && object->state != OBJECT_ORPHAN)
		return;
	line = table_line(ls->table);
	table_put(line, NAME, "%s", object->name);
	table_put(line, KIND, "%s", object_kind_name(object->kind));
	if (object->ipc && object->kind != OBJECT_QUEUE)
		table_put(line, ID, "%" PRId32, object->ipc->stat.id);
	if (object->kind != OBJECT_SEM)
		table_put(line, SIZE, "%" PRIu64, object->size);
	table_put(line, MODE, "%04o", object->mode);
	put_owner(line, object->uid);
	table_put(line, STATE, "%s", object_state_name(object->state));
	if (object->ipc) {
		put_count(ls, line, object);
		put_processes(ls, line, object);
	} else {
		put_holders(ls, line, object->entry);
	}
	table_put(line, MAKER, "%" PRIu32, object->maker);
	table_put(line, COMMAND, "%s", object->command);
}

static void list(struct ls *ls)
{
	OWN_FD sock = ask_connect(ls->folder);
	struct wire_status status = ask_status(sock);
	int result;

	ls->holders = holders_find((pid_t)status.pid, (pid_t)status.keeper);
	result = objects_each(sock, WIRE_LIST_HOLDERS, add_object, ls);
	if (result < 0)
		fail("the daemon does not answer: %s", strerror(-result));
}

/* All columns are in JSON. */
static struct libscols_table *make_table(bool json)
{
	struct table_column shown[COLUMN_COUNT];

	memcpy(shown, columns, sizeof shown);
	if (json)
		shown[PROCESSES].flags = 0;
	return table_new("segments", json, shown, COLUMN_COUNT);
}

static void take_options(struct ls *ls, int argc, char **argv)
{
	int option;

	while ((option = option_next(&ls_subcommand, argc, argv)) != -1) {
		switch (option) {
		case 'd': ls->folder = optarg; break;
		case 'j': ls->json = true; break;
		case 'o': ls->orphans = true; break;
		}
	}
	option_end(&ls_subcommand, argc, argv);
}

static int ls_main(int argc, char **argv)
{
	struct ls ls = {.folder = NULL};

	take_options(&ls, argc, argv);
	ls.table = make_table(ls.json);
	list(&ls);
	table_print(ls.table);
	holders_free(ls.holders);
	return EXIT_SUCCESS;
}

static const struct subcommand_option options[] = {
	OPTION_DIR("of the daemon that serves DIR"),
	OPTION_JSON("as JSON"),
	{"orphans", 'o', NULL, "only those that nobody holds and whose maker is gone",
	 COMPLETE_NOTHING},
	OPTION_END,
};

const struct subcommand ls_subcommand = {
	.name = "ls",
	.arguments = {"[OPTION]..."},
	.summary = "list segments, semaphores, System V IPC and message queues, and who holds "
	           "them",
	.about = "List what the daemon that this user's programs meet has: segments and "
	         "semaphores, System V shared memory (shm), semaphores (sem) and messages (msg), "
	         "and message queues (mq).",
	.after = "STATE is held (somebody has it open, mapped or attached, or waits for it), "
	         "orphan (nobody does, and who made it and who used it last are gone), removed "
	         "(it goes with the last that holds it) or free. HOLDERS are those that /proc "
	         "shows to this user.",
	.options = options,
	.run = ls_main,
};
