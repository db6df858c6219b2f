/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What it takes to start programs that have the library. */
#include <spawn.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/pairs.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The library is theirs only: it is to cost nothing here. */
static void give_library(void)
{
	const char *library = getenv("SHMEMU_BENCH_LIBRARY");

	if (library && *library)
		setenv("LD_PRELOAD", library, 1);
}

static void start_often(char *const *command, long count)
{
	for (long i = 0; i < count; i++) {
		pid_t pid;

		if (posix_spawn(&pid, command[0], NULL, NULL, command, environ) != 0)
			die(command[0]);
		finish(pid);
	}
}

static void start_true(long count)
{
	char *const command[] = {(char[]){"/bin/true"}, NULL};

	start_often(command, count);
}

static void start_python(long count)
{
	char *const command[] = {(char[]){"/usr/bin/python3"}, (char[]){"-c"}, (char[]){"pass"},
	                         NULL};

	if (access(command[0], X_OK) < 0)
		skip("no Python");
	start_often(command, count);
}

static const struct pairs_kind kinds[] = {
	{"start of true", start_true, 200, .starts_others = true},
	{"start of python3 -c pass", start_python, 10, .starts_others = true},
};

int main(int argc, char **argv)
{
	const struct pairs pairs = {kinds, COUNT(kinds), give_library};

	return pairs_main(&pairs, argc, argv);
}
