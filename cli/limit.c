/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmemu limit: how much there may be, and is; or changes it while it is in use. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/size.h"
#include "cli/ask.h"
#include "cli/option.h"
#include "cli/say.h"
#include "cli/table.h"

struct limit {
	const char *folder;
	bool json;
	bool wanted[WIRE_LIMIT_USER_SIZE + 1];
	uint64_t values[WIRE_LIMIT_USER_SIZE + 1];
};

/* The letters of those that are limits are WIRE_LIMIT_... */
static const struct subcommand_option options[] = {
	{"size", WIRE_LIMIT_SIZE, "BYTES",
	 "all that there may be, with k, m, g or t behind it, or % of memory; 0: any",
	 COMPLETE_NOTHING},
	{"inodes", WIRE_LIMIT_INODES, "NUMBER",
	 "files, folders and links that there may be; 0: any number", COMPLETE_NOTHING},
	{"user-size", WIRE_LIMIT_USER_SIZE, "BYTES",
	 "that each user may have, but for root and the daemon's own, where the daemon was "
	 "started with such a limit", COMPLETE_NOTHING},
	OPTION_DIR("of the daemon that serves DIR"),
	OPTION_JSON("as JSON"),
	OPTION_END,
};

enum column { LIMIT, MAX, USED, COLUMN_COUNT };

static const struct table_column columns[COLUMN_COUNT] = {
	[LIMIT] = {"LIMIT", 0, SCOLS_JSON_STRING},
	[MAX] = {"MAX", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER},
	[USED] = {"USED", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER},
};

static _Noreturn void fail_change(uint32_t what, const char *value, uint64_t used, int result)
{
	const char *name = options[what - 1].name;

	if (result == -EPERM)
		fail("cannot change --%s: only root and the daemon's own user may", name);
	if (result == -EBUSY && what == WIRE_LIMIT_USER_SIZE)
		fail("cannot set --user-size to %s: a user has more in use, or --size has no room "
		     "for that much for each", value);
	if (result == -EBUSY)
		fail("cannot limit --%s to %s: %" PRIu64 " are in use%s", name, value, used,
		     what == WIRE_LIMIT_SIZE ? ", or users' shares are larger" : "");
	if (result == -EINVAL && what == WIRE_LIMIT_USER_SIZE)
		fail("cannot take --user-size away: users have memory of their own here, which has "
		     "a size");
	if (result == -EOPNOTSUPP && what == WIRE_LIMIT_USER_SIZE)
		fail("cannot change --user-size: this daemon was started without, and so users "
		     "have no memory of their own");
	if (result == -EOPNOTSUPP)
		fail("cannot change --%s: this daemon's memory comes from no tmpfs, which alone "
		     "has a size", name);
	fail("cannot change --%s to %s: %s", name, value, strerror(-result));
}

/* What is in use is told by the same line that refuses. */
static void change(int sock, const struct limit *limit, uint32_t what)
{
	struct wire_limits limits = {.size = 0};
	int result = ask_limits(sock, what, limit->values[what], &limits);
	char value[32];

	if (result == 0)
		return;
	ask_limits(sock, 0, 0, &limits);
	snprintf(value, sizeof value, "%" PRIu64, limit->values[what]);
	fail_change(what, value, what == WIRE_LIMIT_SIZE ? limits.size_used : limits.inodes_used,
	            result);
}

static void add_line(struct libscols_table *table, bool json, const char *name, uint64_t max,
                     const uint64_t *used)
{
	struct libscols_line *line = table_line(table);

	table_put(line, LIMIT, "%s", name);
	if (max)
		table_put(line, MAX, "%" PRIu64, max);
	else if (!json)
		table_put(line, MAX, "none");
	if (used)
		table_put(line, USED, "%" PRIu64, *used);
}

static void show(int sock, const struct limit *limit)
{
	struct libscols_table *table = table_new("limits", limit->json, columns, COLUMN_COUNT);
	struct wire_limits limits;
	int result = ask_limits(sock, 0, 0, &limits);

	if (result < 0)
		fail("the daemon does not tell its limits: %s", strerror(-result));
	add_line(table, limit->json, "size", limits.size, &limits.size_used);
	add_line(table, limit->json, "inodes", limits.inodes, &limits.inodes_used);
	add_line(table, limit->json, "user-size", limits.user_size, NULL);
	table_print(table);
}

static void parse_value(struct limit *limit, int what)
{
	int result = what == WIRE_LIMIT_INODES ? size_parse_count(optarg, &limit->values[what])
	                                       : size_parse(optarg, &limit->values[what]);

	if (result < 0)
		fail("limit: --%s takes %s, not '%s'", options[what - 1].name,
		     what == WIRE_LIMIT_INODES ? "a number, maybe with k, m or g" : SIZE_WORDS,
		     optarg);
	limit->wanted[what] = true;
}

static void take_options(struct limit *limit, int argc, char **argv)
{
	int option;

	while ((option = option_next(&limit_subcommand, argc, argv)) != -1) {
		switch (option) {
		case 'd': limit->folder = optarg; break;
		case 'j': limit->json = true; break;
		default: parse_value(limit, option);
		}
	}
	option_end(&limit_subcommand, argc, argv);
}

static int limit_main(int argc, char **argv)
{
	struct limit limit = {.folder = NULL};
	bool changes = false;
	OWN_FD sock = -1;

	take_options(&limit, argc, argv);
	sock = ask_connect(limit.folder);
	for (uint32_t what = WIRE_LIMIT_SIZE; what <= WIRE_LIMIT_USER_SIZE; what++) {
		if (limit.wanted[what])
			change(sock, &limit, what);
		changes = changes || limit.wanted[what];
	}
	if (!changes || limit.json)
		show(sock, &limit);
	return EXIT_SUCCESS;
}

const struct subcommand limit_subcommand = {
	.name = "limit",
	.arguments = {"[OPTION]..."},
	.summary = "show how much there may be and is in use, or change it",
	.about = "Show what the daemon that this user's programs meet may hold, and holds; or "
	         "change it, as root or the daemon's own user.",
	.options = options,
	.run = limit_main,
};
