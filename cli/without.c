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
#include "cli/say.h"
#include "cli/subcommand.h"

enum { NOBODY = 65534, PARTS_MAX = 8, DEPTH_MAX = 4, OPTION_USER = 256 };

/* A name ending in "=SIZE" takes one. */
static const struct what {
	const char *name;
	const char *summary;
	struct deny_op op;
} whats[] = {
	{"dev-shm", "/dev/shm is missing", {DENY_ENTRY, "shm", 0}},
	{"dev-shm=ro", "/dev/shm is read-only", {DENY_WRITE, "shm", 0}},
	{"dev-shm=SIZE", "/dev/shm has room for SIZE, such as 64m (k, m or g)",
	 {DENY_SPACE, "shm", 0}},
	{"fuse", "/dev/fuse is missing", {DENY_ENTRY, "fuse", 0}},
	{"memfd_create", "the system call is missing (ENOSYS)", {DENY_CALL, "memfd_create", 0}},
	{"root", "root becomes another user, see --user; others stay who they are",
	 {DENY_ROOT, "root", 0}},
};

static const struct profile {
	const char *name;
	const char *summary;
	const char *parts[PARTS_MAX];
} profiles[] = {
	{"lambda", "AWS Lambda, Fargate, locked sandboxes", {"root", "dev-shm", "fuse"}},
	{"docker-64m", "a container with Docker's 64 MB", {"dev-shm=64m", "fuse"}},
};

enum {
	WHAT_COUNT = sizeof whats / sizeof whats[0],
	PROFILE_COUNT = sizeof profiles / sizeof profiles[0],
};

static const struct option options[] = {
	{"user", required_argument, NULL, OPTION_USER},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int print_help(void)
{
	puts("usage: shmemu without [OPTION]... WHAT... -- COMMAND [ARG]...\n"
	     "Run a command as on a host that lacks things. What comes later overrides.\n\n"
	     "WHAT is one of:");
	for (size_t i = 0; i < WHAT_COUNT; i++)
		printf("  %-14s %s\n", whats[i].name, whats[i].summary);
	puts("\nor a profile:");
	for (size_t i = 0; i < PROFILE_COUNT; i++) {
		printf("  %-14s %s:", profiles[i].name, profiles[i].summary);
		for (size_t j = 0; j < PARTS_MAX && profiles[i].parts[j]; j++)
			printf(" %s", profiles[i].parts[j]);
		putchar('\n');
	}
	puts("\n"
	     "      --user=UID[:GID]  whom root becomes without 'root' (65534:65534); implies it\n"
	     "      --help            show this and exit\n"
	     "\n"
	     "The exit status is COMMAND's; 125 if shmemu fails, 126 if COMMAND can't be\n"
	     "executed, 127 if it can't be found.");
	return EXIT_SUCCESS;
}

/* A number with k, m or g behind it. Returns 0 or -EINVAL. */
static int parse_size(const char *text, uint64_t *ret_size)
{
	static const char units[] = "kmg";
	unsigned long long number;
	const char *unit;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || errno || number == 0 || !end[0] || end[1])
		return -EINVAL;
	unit = strchr(units, tolower((unsigned char)end[0]));
	if (!unit || number > (unsigned long long)LLONG_MAX >> (10 * (unit - units + 1)))
		return -EINVAL;
	*ret_size = number << (10 * (unit - units + 1));
	return 0;
}

/* Does the word say this? If it takes a size, it is put into *size. */
static bool is_what(const struct what *what, const char *word, uint64_t *size)
{
	const char *placeholder = strstr(what->name, "=SIZE");
	size_t length;

	if (!placeholder)
		return strcmp(what->name, word) == 0;
	length = (size_t)(placeholder - what->name) + 1;
	return strncmp(what->name, word, length) == 0 && parse_size(word + length, size) == 0;
}

static void add_word(struct deny *deny, const char *word, int depth)
{
	for (size_t i = 0; i < WHAT_COUNT; i++) {
		struct deny_op op = whats[i].op;

		if (is_what(&whats[i], word, &op.size)) {
			deny_add(deny, &op);
			return;
		}
	}
	for (size_t i = 0; i < PROFILE_COUNT && depth < DEPTH_MAX; i++) {
		if (strcmp(profiles[i].name, word) != 0)
			continue;
		for (size_t j = 0; j < PARTS_MAX && profiles[i].parts[j]; j++)
			add_word(deny, profiles[i].parts[j], depth + 1);
		return;
	}
	fail("without: cannot take away '%s'; 'shmemu without --help' lists what can be", word);
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
	add_word(deny, "root", 0);
}

/* The words up to "--", which getopt_long would move about or swallow, are gone through one by
 * one. */
int without_main(int argc, char **argv)
{
	struct deny deny = {.uid = NOBODY, .gid = NOBODY};
	int option, words_end = 1;

	while (words_end < argc && strcmp(argv[words_end], "--") != 0)
		words_end++;
	opterr = 0;
	while ((option = getopt_long(words_end, argv, "-:h", options, NULL)) != -1) {
		if (option == 1)
			add_word(&deny, optarg, 0);
		else if (option == OPTION_USER)
			parse_user(&deny);
		else if (option == 'h')
			return print_help();
		else
			fail("without: %s '%s'; try 'shmemu without --help'",
			     option == ':' ? "a value is missing after" : "there is no option",
			     argv[optind - 1]);
	}
	if (deny.count == 0)
		fail("without what? 'shmemu without --help' lists what can be taken away");
	if (words_end + 1 >= argc)
		fail("without: which command? It comes after '--'; try 'shmemu without --help'");
	deny_apply(&deny);
	command_exec(argv + words_end + 1);
}
