/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmemu df: how much memory there is for what the daemon holds. */
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/ask.h"
#include "cli/fit.h"
#include "cli/human.h"
#include "cli/option.h"
#include "cli/say.h"
#include "cli/usage.h"

struct df {
	const char *folder;
	bool json;
	bool raw;
	bool bytes;
	bool headless;
	struct text path; /* the daemon's folder */
};

enum column { SHARE, BACKING, SIZE, USED, AVAIL, USE, INODES, IUSED, IFREE, TARGET, COLUMN_COUNT };

static const struct table_column columns[COLUMN_COUNT] = {
	[SHARE] = {"SHARE", 0, SCOLS_JSON_STRING, 8, 0},
	[BACKING] = {"BACKING", 0, SCOLS_JSON_STRING, 0, 1},
	[SIZE] = {"SIZE", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, 0, 0},
	[USED] = {"USED", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, 0, 0},
	[AVAIL] = {"AVAIL", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, 0, 0},
	[USE] = {"USE%", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, 0, 0},
	[INODES] = {"INODES", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, 0, 4},
	[IUSED] = {"IUSED", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, 0, 3},
	[IFREE] = {"IFREE", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, 0, 5},
	[TARGET] = {"TARGET", 0, SCOLS_JSON_STRING, 12, 2},
};

static void put_bytes(const struct df *df, struct libscols_line *line, enum column column,
                      uint64_t bytes)
{
	char text[HUMAN_SIZE];

	if (df->json || df->bytes)
		table_put(line, column, "%" PRIu64, bytes);
	else
		table_put(line, column, "%s", human_bytes(text, bytes));
}

static void put_share(struct libscols_line *line, const struct usage_row *row)
{
	const struct passwd *user = row->is_share ? getpwuid(row->uid) : NULL;

	if (!row->is_share)
		table_put(line, SHARE, "all");
	else if (user)
		table_put(line, SHARE, "%s", user->pw_name);
	else
		table_put(line, SHARE, "%" PRIu32, row->uid);
}

/* Files and folders are limited, and are somewhere, as a whole. */
static void put_whole(const struct df *df, struct libscols_line *line, const struct usage *usage)
{
	uint64_t used = usage->inodes_used;

	table_put(line, BACKING, "%s", usage->backing);
	if (usage->inodes) {
		table_put(line, INODES, "%" PRIu64, usage->inodes);
		table_put(line, IFREE, "%" PRIu64, usage->inodes > used ? usage->inodes - used : 0);
	} else if (!df->json) {
		table_put(line, INODES, "-");
		table_put(line, IFREE, "-");
	}
	table_put(line, IUSED, "%" PRIu64, used);
	table_put(line, TARGET, "%s",
	          usage->mountpoint[0] ? usage->mountpoint : df->path.bytes);
}

static void add_line(const struct df *df, struct libscols_table *table, const struct usage *usage,
                     const struct usage_row *row)
{
	struct libscols_line *line = table_line(table);

	put_share(line, row);
	put_bytes(df, line, SIZE, row->size);
	put_bytes(df, line, USED, row->used);
	put_bytes(df, line, AVAIL, row->available);
	table_put(line, USE, "%u%s", usage_percent(row->used, row->available), df->json ? "" : "%");
	if (!row->is_share)
		put_whole(df, line, usage);
}

static void show(const struct df *df, const struct usage *usage)
{
	struct libscols_table *table = table_new("stores", df->json, columns, COLUMN_COUNT);
	bool fits = isatty(STDOUT_FILENO) && !df->json && !df->raw;

	scols_table_enable_raw(table, df->raw);
	scols_table_enable_noheadings(table, df->headless);
	for (size_t i = 0; i < usage->count; i++)
		add_line(df, table, usage, &usage->rows[i]);
	fit_table(table, columns, COLUMN_COUNT, fits ? fit_terminal(STDOUT_FILENO).columns : 0);
	table_print(table);
}

static void take_options(struct df *df, int argc, char **argv)
{
	int option;

	while ((option = option_next(&df_subcommand, argc, argv)) != -1) {
		switch (option) {
		case 'd': df->folder = optarg; break;
		case 'j': df->json = true; break;
		case 'r': df->raw = true; break;
		case 'b': df->bytes = true; break;
		case 'h': df->bytes = false; break;
		case 'n': df->headless = true; break;
		}
	}
	option_end(&df_subcommand, argc, argv);
	if (df->json && df->raw)
		fail("df: --json and --raw can't be together");
}

static int df_main(int argc, char **argv)
{
	struct df df = {.folder = NULL};
	struct usage usage;
	OWN_FD sock = -1;
	int result;

	take_options(&df, argc, argv);
	sock = ask_connect_at(df.folder, &df.path);
	result = usage_read(sock, &usage);
	if (result == -EPROTONOSUPPORT)
		fail("the daemon is of an older version, and does not tell: 'shmemu upgrade', or "
		     "end it and start it anew");
	if (result < 0)
		ask_fail(result);
	show(&df, &usage);
	usage_free(&usage);
	return EXIT_SUCCESS;
}

static const struct subcommand_option options[] = {
	OPTION_DIR("of the daemon that serves DIR"),
	OPTION_JSON("as JSON"),
	OPTION_RAW,
	OPTION_BYTES,
	{"human-readable", 'h', NULL, "sizes as people read them, as without --bytes; also -h",
	 COMPLETE_NOTHING},
	OPTION_NOHEADINGS,
	OPTION_END,
};

const struct subcommand df_subcommand = {
	.name = "df",
	.arguments = {"[OPTION]..."},
	.summary = "show how much memory there is, and is left",
	.about = "Show how much memory there is for what the daemon that this user's programs meet "
	         "holds, as df(1) does of filesystems: what is USED, what is AVAILable to this "
	         "user, files and folders (INODES), and where it is served (TARGET): a mountpoint, "
	         "or the daemon's folder.",
	.after = "Where users have shares of their own, root and the daemon's own user see them "
	         "all, others theirs. BACKING is tmpfs, memfd or files: what memory comes from.",
	.options = options,
	.run = df_main,
};
