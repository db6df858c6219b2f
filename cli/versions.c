/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/versions.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "base/wire.h"
#include "cli/binary.h"
#include "cli/facts_table.h"
#include "cli/find.h"

enum { VERSION_SIZE = 64 };

/* What `shmfs --version` says, without its name. */
static void ask_daemon(const char *program, char ret_version[static VERSION_SIZE])
{
	ssize_t length = 0;
	int ends[2];
	pid_t child;
	char *end;

	snprintf(ret_version, VERSION_SIZE, "?");
	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	child = fork();
	if (child == 0) {
		dup2(ends[1], STDOUT_FILENO);
		execl(program, "shmfs", "--version", NULL);
		_exit(1);
	}
	close(ends[1]);
	if (child > 0)
		length = read(ends[0], ret_version, VERSION_SIZE - 1);
	close(ends[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
	if (length <= 0)
		return;
	ret_version[length] = '\0';
	ret_version[strcspn(ret_version, "\n")] = '\0';
	end = strrchr(ret_version, ' ');
	if (end)
		memmove(ret_version, end + 1, strlen(end + 1) + 1);
}

void versions_add(struct libscols_table *table, const struct parts *parts)
{
	OWN_FD file = open(parts->library, O_RDONLY | O_CLOEXEC);
	struct binary library = BINARY_NULL;
	char daemon[VERSION_SIZE];
	bool is_known = file >= 0 && binary_read(file, &library) == 0 && library.version[0];
	const char *version = is_known ? library.version : "of before 0.1.0";
	struct fact fact;
	bool agree;

	ask_daemon(parts->daemon, daemon);
	agree = is_known && library.protocol == WIRE_VERSION &&
	        strcmp(version, SHMEMU_VERSION) == 0 && strcmp(daemon, SHMEMU_VERSION) == 0;
	fact = fact_told("shmemu " SHMEMU_VERSION ", shmfs %s, libshmemu.so %s in %s%s", daemon,
	                 version, parts->library, agree ? "" : ": install all of one version");
	fact.library = agree ? 0 : FACT_NO;
	facts_table_add(table, "versions", &fact);
	binary_deinit(&library);
}
