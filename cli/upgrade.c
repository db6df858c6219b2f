/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmemu upgrade: has the daemon go on with the program that is installed now. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cli/ask.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "cli/subcommand.h"

enum { PATIENCE_SECONDS = 10, NAP_MILLISECONDS = 10 };

static const struct option options[] = {
	{"dir", required_argument, NULL, 'd'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int print_help(void)
{
	puts("usage: shmemu upgrade [OPTION]...\n"
	     "Have the daemon that this user's programs meet go on with the shmfs that is\n"
	     "installed now. Nobody notices; where the versions do not fit, the old one stays.\n"
	     "\n"
	     "      --dir=DIR  the daemon that serves DIR\n"
	     "      --help     show this and exit");
	return EXIT_SUCCESS;
}

static void upgrade(const char *folder)
{
	OWN_FD sock = ask_connect(folder);
	struct wire_status before = ask_status(sock);
	struct wire_status now = before;
	long long deadline = signals_deadline(PATIENCE_SECONDS);

	if (kill((pid_t)before.keeper, SIGHUP) < 0)
		fail("cannot ask process %u to upgrade: %s", before.keeper, strerror(errno));
	while (now.pid == before.pid && signals_deadline(0) < deadline) {
		poll(NULL, 0, NAP_MILLISECONDS);
		now = ask_status(sock);
	}
	if (now.pid == before.pid)
		fail("the daemon, process %u, goes on as it was: is its program still there, and "
		     "of a version that fits? It says why on its standard error", before.keeper);
	printf("upgraded: process %u serves in the place of %u\n", now.pid, before.pid);
}

int upgrade_main(int argc, char **argv)
{
	const char *folder = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'd': folder = optarg; break;
		case 'h': return print_help();
		default: return EXIT_TOOL;
		}
	}
	if (optind < argc)
		fail("upgrade takes no '%s'; try 'shmemu upgrade --help'", argv[optind]);
	upgrade(folder);
	return EXIT_SUCCESS;
}
