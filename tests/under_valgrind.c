/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A worker to upgrade to: executes SHMEMU_VALGRIND_DAEMON under valgrind, whose log goes to
 * SHMEMU_VALGRIND_LOG. The keeper itself can't run under Debian 12's valgrind, which has no
 * pidfd_open. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WORDS_MAX = 64 };

int main(int argc, char **argv)
{
	static char program[] = "valgrind";
	static char quiet[] = "--quiet";
	static char alone[] = "--vgdb=no";
	static char leaks[] = "--leak-check=full";
	/* The stack of a thread that never ends is but possibly lost. */
	static char kinds[] = "--show-leak-kinds=definite,indirect";
	char log[512];
	char *words[WORDS_MAX] = {program, quiet, alone, leaks, kinds, log,
	                          getenv("SHMEMU_VALGRIND_DAEMON")};
	int count = 7;

	snprintf(log, sizeof log, "--log-file=%s.%%p", getenv("SHMEMU_VALGRIND_LOG"));
	for (int i = 1; i < argc && count < WORDS_MAX - 1; i++)
		words[count++] = argv[i];
	execvp(program, words);
	return EXIT_FAILURE;
}
