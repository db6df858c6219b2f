/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmemu ls: what the daemon holds, who made it and who has it. */
#include <getopt.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "base/own.h"
#include "cli/ask.h"
#include "cli/holders.h"
#include "cli/say.h"
#include "cli/subcommand.h"
#include "cli/table.h"

struct ls {
	const char *folder;
	bool json;
	bool orphans;
	struct libscols_table *table;
	struct holders *holders;
};

static const struct option options[] = {
	{"dir", required_argument, NULL, 'd'},
	{"json", no_argument, NULL, 'j'},
	{"orphans", no_argument, NULL, 'o'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

enum column { NAME, KIND, SIZE, MODE, OWNER, STATE, HOLDERS, MAKER, COMMAND, COLUMN_COUNT };

static const struct table_column columns[COLUMN_COUNT] = {
	[NAME] = {"NAME", 0, SCOLS_JSON_STRING},
	[KIND] = {"KIND", 0, SCOLS_JSON_STRING},
	[SIZE] = {"SIZE", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER},
	[MODE] = {"MODE", SCOLS_FL_RIGHT, SCOLS_JSON_STRING},
	[OWNER] = {"OWNER", 0, SCOLS_JSON_STRING},
	[STATE] = {"STATE", 0, SCOLS_JSON_STRING},
	[HOLDERS] = {"HOLDERS", 0, SCOLS_JSON_STRING},
	[MAKER] = {"MAKER", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER},
	[COMMAND] = {"COMMAND", SCOLS_FL_TRUNC, SCOLS_JSON_STRING},
};

static int print_help(void)
{
	puts("usage: shmemu ls [OPTION]...\n"
	     "List the segments and semaphores of the daemon that this user's programs meet.\n"
	     "\n"
	     "      --dir=DIR  of the daemon that serves DIR\n"
	     "      --json     as JSON\n"
	     "      --orphans  only those that nobody holds and whose maker is gone\n"
	     "      --help     show this and exit\n"
	     "\n"
	     "STATE is held (somebody has it open or mapped), orphan (nobody has, and the process\n"
	     "that made it is gone) or free. HOLDERS are those that /proc shows to this user.");
	return EXIT_SUCCESS;
}

static const char *state_of(const struct wire_entry *entry)
{
	if (entry->flags & WIRE_ENTRY_HELD)
		return "held";
	return entry->flags & WIRE_ENTRY_ORPHAN ? "orphan" : "free";
}

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

static void add_entry(const struct ls *ls, const struct wire_entry *entry)
{
	static const char prefix[] = "sem.";
	bool is_semaphore = name_is_semaphore(entry->name);
	struct libscols_line *line;

	if (ls->orphans && !(entry->flags & WIRE_ENTRY_ORPHAN))
		return;
	line = table_line(ls->table);
	table_put(line, NAME, "/%s", entry->name + (is_semaphore ? strlen(prefix) : 0));
	table_put(line, KIND, "%s", is_semaphore ? "semaphore" : "segment");
	table_put(line, SIZE, "%" PRIu64, entry->size);
	table_put(line, MODE, "%04o", entry->mode & 07777);
	put_owner(line, entry->uid);
	table_put(line, STATE, "%s", state_of(entry));
	put_holders(ls, line, entry);
	table_put(line, MAKER, "%" PRIu32, entry->creator_pid);
	table_put(line, COMMAND, "%s", entry->creator_command);
}

static void list(struct ls *ls)
{
	OWN_FD sock = ask_connect(ls->folder);
	struct wire_status status = ask_status(sock);
	struct wire_entry entries[WIRE_LIST_MAX];
	uint64_t cursor = 0;
	int count;

	ls->holders = holders_find((pid_t)status.pid, (pid_t)status.keeper);
	while ((count = ask_list(sock, WIRE_LIST_HOLDERS, cursor, entries)) > 0) {
		for (int i = 0; i < count; i++)
			add_entry(ls, &entries[i]);
		cursor = entries[count - 1].cookie;
	}
}

static bool take_options(struct ls *ls, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'd': ls->folder = optarg; break;
		case 'j': ls->json = true; break;
		case 'o': ls->orphans = true; break;
		case 'h': return false;
		default: exit(EXIT_TOOL);
		}
	}
	if (optind < argc)
		fail("ls takes no '%s'; try 'shmemu ls --help'", argv[optind]);
	return true;
}

int ls_main(int argc, char **argv)
{
	struct ls ls = {.folder = NULL};

	if (!take_options(&ls, argc, argv))
		return print_help();
	ls.table = table_new("segments", ls.json, columns, COLUMN_COUNT);
	list(&ls);
	table_print(ls.table);
	holders_free(ls.holders);
	return EXIT_SUCCESS;
}
