/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmemu ls: what the daemon holds, who made it and who has it. */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/ask.h"
#include "cli/columns.h"
#include "cli/fit.h"
#include "cli/listing.h"
#include "cli/option.h"
#include "cli/say.h"

struct ls {
	const char *folder;
	const char *color;
	bool orphans;
	struct columns_style style;
};

static void take_options(struct ls *ls, int argc, char **argv)
{
	int option;

	while ((option = option_next(&ls_subcommand, argc, argv)) != -1) {
		switch (option) {
		case 'd': ls->folder = optarg; break;
		case 'j': ls->style.json = true; break;
		case 'r': ls->style.raw = true; break;
		case 'b': ls->style.bytes = true; break;
		case 'n': ls->style.headless = true; break;
		case 'o': ls->orphans = true; break;
		case 'c': columns_parse(optarg, &ls->style.columns); break;
		case 'C': ls->color = optarg; break;
		}
	}
	option_end(&ls_subcommand, argc, argv);
	if (ls->style.json && ls->style.raw)
		fail("ls: --json and --raw can't be together");
}

static int ls_main(int argc, char **argv)
{
	struct ls ls = {.color = "auto", .style = {.now = time(NULL)}};
	struct listing listing;
	OWN_FD sock = -1;
	int result;

	take_options(&ls, argc, argv);
	ls.style.colours = colour_is_wanted(ls.color);
	if (isatty(STDOUT_FILENO) && !ls.style.raw && !ls.style.json)
		ls.style.width = fit_terminal(STDOUT_FILENO).columns;
	sock = ask_connect(ls.folder);
	result = listing_read(sock, ls.orphans, &listing);
	if (result < 0)
		ask_fail(result);
	table_print(columns_table(&listing, &ls.style));
	listing_free(&listing);
	return EXIT_SUCCESS;
}

static const struct subcommand_option options[] = {
	OPTION_DIR("of the daemon that serves DIR"),
	OPTION_JSON("as JSON"),
	OPTION_RAW,
	OPTION_BYTES,
	OPTION_NOHEADINGS,
	{"output", 'c', "COLUMNS", "these columns, with commas between them", COMPLETE_COLUMN},
	{"orphans", 'o', NULL, "only those that nobody holds and whose maker is gone",
	 COMPLETE_NOTHING},
	OPTION_COLOR,
	OPTION_END,
};

const struct subcommand ls_subcommand = {
	.name = "ls",
	.arguments = {"[OPTION]..."},
	.summary = "list segments, semaphores, System V IPC and message queues, and who holds "
	           "them",
	.about = "List what the daemon that this user's programs meet has: segments and "
	         "semaphores, System V shared memory (shm), semaphores (sem) and messages (msg), "
	         "and message queues (mq). On a terminal that has no room for all columns some are "
	         "left out or cut.",
	.list = columns_print,
	.after = "STATE is held (somebody has it open, mapped or attached, or waits for it), "
	         "orphan (nobody does, and who made it and who used it last are gone), removed "
	         "(it goes with the last that holds it) or free. HOLDERS are those that /proc "
	         "shows to this user.",
	.options = options,
	.run = ls_main,
};
