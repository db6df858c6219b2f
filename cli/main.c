/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmemu: the table of subcommands. */
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/option.h"
#include "cli/say.h"
#include "cli/subcommand.h"

const struct subcommand *const subcommands[] = {
	&run_subcommand,
	&without_subcommand,
	&trace_subcommand,
	&ls_subcommand,
	&df_subcommand,
	&top_subcommand,
	&rm_subcommand,
	&dump_subcommand,
	&load_subcommand,
	&limit_subcommand,
	&doctor_subcommand,
	&upgrade_subcommand,
	&complete_subcommand,
	NULL,
};

static int print_help(void)
{
	puts("usage: shmemu SUBCOMMAND [ARG]...\n"
	     "Shared memory for hosts that have none.\n");
	for (int i = 0; subcommands[i] && subcommands[i]->summary; i++)
		printf("  %-8s %s\n           %s\n", subcommands[i]->name,
		       subcommands[i]->arguments[0], subcommands[i]->summary);
	puts("\n"
	     "      --help      show this and exit; 'shmemu SUBCOMMAND --help' tells more\n"
	     "      --help-all  show this and the help of each subcommand, and exit\n"
	     "      --version   show the version and exit");
	return EXIT_SUCCESS;
}

/* All that the manual page is made of, too: docs/make-page. */
static int print_all_help(void)
{
	print_help();
	for (int i = 0; subcommands[i] && subcommands[i]->summary; i++) {
		putchar('\n');
		option_help(subcommands[i]);
	}
	return EXIT_SUCCESS;
}

/* A descriptor that we open must not become standard error of a tool that was started without
 * one; COMMAND finds the three as they were. */
static void occupy_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	setlocale(LC_CTYPE, "");
	occupy_standard_descriptors();
	for (int i = 0; subcommands[i]; i++)
		if (strcmp(word, subcommands[i]->name) == 0)
			return subcommands[i]->run(argc - 1, argv + 1);
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		return print_help();
	if (strcmp(word, "--help-all") == 0)
		return print_all_help();
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
		return puts("shmemu " SHMEMU_VERSION) < 0 ? EXIT_TOOL : EXIT_SUCCESS;
	if (argc < 2)
		fail("which subcommand? Try 'shmemu --help'");
	fail("there is no %s '%s'; try 'shmemu --help'", word[0] == '-' ? "option" : "subcommand",
	     word);
}
