/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/find.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

static const char *find(const char *variable, const char *folder, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s%s", getenv(variable), folder, name) < 0 ? name : path;
}

const char *find_tool(const char *name)
{
	return find("SHMEMU_PREFIX", "bin/", name);
}

const char *find_probe(const char *name)
{
	return find("SHMEMU_PROBES", "", name);
}

bool find_library(char *ret_path, size_t size)
{
	char pattern[512];
	glob_t found;
	bool is_found;

	snprintf(pattern, sizeof pattern, "%s/lib*{/,/*/}libshmemu.so", getenv("SHMEMU_PREFIX"));
	is_found = glob(pattern, GLOB_BRACE, NULL, &found) == 0;
	if (is_found)
		snprintf(ret_path, size, "%s", found.gl_pathv[0]);
	globfree(&found);
	return is_found;
}
