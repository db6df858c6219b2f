/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/preload.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/find.h"
#include "cli/say.h"

/* The loader takes both, and there is no way to quote them. */
static const char separators[] = ": ";

static bool begins_with(const char *list, const char *path)
{
	size_t length = strcspn(list, separators);

	return length == strlen(path) && memcmp(list, path, length) == 0;
}

static bool begins_with_tracer(const char *list)
{
	size_t length = strcspn(list, separators);
	size_t suffix = strlen("/" FIND_TRACER);

	return length >= suffix && memcmp(list + length - suffix, "/" FIND_TRACER, suffix) == 0;
}

/* Behind the first `skip` bytes, which are a word, or nothing. */
static void put(const char *list, size_t skip, const char *path)
{
	const char *rest = list + skip + strspn(list + skip, separators);
	char *longer;

	if (begins_with(rest, path))
		return;
	if (asprintf(&longer, "%.*s%s%s%s%s", (int)skip, list, skip ? ":" : "", path,
	             *rest ? ":" : "", rest) < 0)
		fail("cannot set LD_PRELOAD: %s", strerror(ENOMEM));
	setenv("LD_PRELOAD", longer, 1);
	free(longer);
}

static const char *list_now(void)
{
	const char *list = getenv("LD_PRELOAD");

	return list ? list : "";
}

void preload_library(const char *path)
{
	const char *list = list_now();

	put(list, begins_with_tracer(list) ? strcspn(list, separators) : 0, path);
}

void preload_tracer(const char *path)
{
	put(list_now(), 0, path);
}
