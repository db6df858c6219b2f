/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmemu without: a host that lacks things, for one command. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/deny.h"
#include "cli/option.h"
#include "cli/say.h"
#include "cli/things.h"

enum { NOBODY = 65534, OPTION_USER = 256 };

static void list_words(void)
{
	puts("WHAT is one of:");
	for (size_t i = 0; i < thing_count; i++)
		printf("  %-21s %s\n", things[i].name, things[i].summary);
	puts("\nor a profile:");
	for (size_t i = 0; i < profile_count; i++)
		printf("  %-21s %s\n", profiles[i].name, profiles[i].summary);
	puts("\n"
	     "A call fails with an errno that can be chosen, as in msync=EPERM, and those of\n"
	     "memory mapping, ftruncate, fallocate and memfd_create at a moment that can be\n"
	     "chosen:\n"
	     "  WHAT,after=N          the first N calls work\n"
	     "  WHAT,nth=N            only the N-th call fails\n"
	     "  WHAT,probability=P    each call fails with this probability, from 0 to 1;\n"
	     "                        with ,seed=S behind it, always the same ones\n"
	     "Calls are counted in each process; a child begins with its parent's count, a\n"
	     "program with none.");
}

static unsigned parse_id(const char *text, char stop, const char **ret_end)
{
	char *end;
	unsigned long id;

	errno = 0;
	id = strtoul(text, &end, 10);
	/* The greatest means "leave as it is" to setresuid. */
	if (!isdigit((unsigned char)text[0]) || errno || id >= UINT_MAX || (*end && *end != stop))
		fail("without: --user takes UID or UID:GID in numbers, not '%s'", optarg);
	*ret_end = end;
	return (unsigned)id;
}

static void parse_user(struct deny *deny)
{
	const char *end;

	deny->uid = parse_id(optarg, ':', &end);
	deny->gid = *end ? parse_id(end + 1, '\0', &end) : deny->uid;
	if (deny->uid == 0)
		fail("without: --user takes a user that is not root");
	if (geteuid() != 0 && (deny->uid != geteuid() || deny->gid != getegid()))
		fail("without: only root can become another user; leave --user out to stay who you "
		     "are");
	things_add(deny, "root");
}

/* The words up to "--", which getopt_long would move about or swallow, are gone through one by
 * one. */
static int without_main(int argc, char **argv)
{
	struct deny deny = {.uid = NOBODY, .gid = NOBODY};
	bool is_list = false, json = false;
	int option, words_end = 1;

	while (words_end < argc && strcmp(argv[words_end], "--") != 0)
		words_end++;
	while ((option = option_next(&without_subcommand, words_end, argv)) != -1) {
		if (option == 1)
			things_add(&deny, optarg);
		else if (option == OPTION_USER)
			parse_user(&deny);
		else if (option == 'l')
			is_list = true;
		else if (option == 'j')
			json = true;
	}
	if (json && !is_list)
		fail("without: --json goes with --list");
	if (is_list) {
		things_list(json);
		return EXIT_SUCCESS;
	}
	if (deny.count == 0)
		fail("without what? 'shmemu without --list' tells what can be taken away");
	if (words_end + 1 >= argc)
		fail("without: which command? It comes after '--'; try 'shmemu without --help'");
	deny_apply(&deny);
	command_exec(argv + words_end + 1);
}

static const struct subcommand_option options[] = {
	{"user", OPTION_USER, "UID[:GID]",
	 "whom root becomes without 'root' (65534:65534); implies it", COMPLETE_NOTHING},
	{"list", 'l', NULL,
	 "what can be taken away: how, by default with which errno, and what profiles are made "
	 "of", COMPLETE_NOTHING},
	OPTION_JSON("the list as JSON"),
	OPTION_END,
};

const struct subcommand without_subcommand = {
	.name = "without",
	.arguments = {"[OPTION]... WHAT... -- COMMAND [ARG]...", "--list [--json]"},
	.summary = "run a command as on a host that lacks things",
	.about = "Run a command as on a host that lacks things. What comes later overrides.",
	.list = list_words,
	.after = "The exit status is COMMAND's; 125 if shmemu fails, 126 if COMMAND can't be "
	         "executed, 127 if it can't be found.",
	.options = options,
	.operands = COMPLETE_THING,
	.run = without_main,
};
