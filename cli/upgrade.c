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
#include "cli/option.h"
#include "cli/say.h"
#include "cli/signals.h"

enum { PATIENCE_SECONDS = 10, NAP_MILLISECONDS = 10 };

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

static int upgrade_main(int argc, char **argv)
{
	const char *folder = NULL;
	int option;

	while ((option = option_next(&upgrade_subcommand, argc, argv)) != -1)
		if (option == 'd')
			folder = optarg;
	option_end(&upgrade_subcommand, argc, argv);
	upgrade(folder);
	return EXIT_SUCCESS;
}

static const struct subcommand_option options[] = {
	OPTION_DIR("the daemon that serves DIR"),
	OPTION_END,
};

const struct subcommand upgrade_subcommand = {
	.name = "upgrade",
	.arguments = {"[OPTION]..."},
	.summary = "have the daemon go on with the program installed now",
	.about = "Have the daemon that this user's programs meet go on with the shmfs that is "
	         "installed now. Nobody notices; where the versions do not fit, the old one stays.",
	.options = options,
	.run = upgrade_main,
};
