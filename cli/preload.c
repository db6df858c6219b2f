/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/preload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/say.h"

void preload_library(const char *path)
{
	const char *before = getenv("LD_PRELOAD");
	size_t length = strlen(path);
	char *both;

	if (!before || !before[0])
		before = NULL;
	if (before && strncmp(before, path, length) == 0 && strchr(": ", before[length]))
		return;
	if (asprintf(&both, "%s%s%s", path, before ? ":" : "", before ? before : "") < 0)
		fail("cannot set LD_PRELOAD: %s", strerror(ENOMEM));
	setenv("LD_PRELOAD", both, 1);
	free(both);
}
