/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names and paths: whatever is accepted is a possible file name, and what is said to be ours is. */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "base/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool holds)
{
	if (!holds)
		abort();
}

static void check_name(enum name_kind kind, const char *given)
{
	struct name name;

	if (name_parse(kind, given, &name) < 0)
		return;
	insist(name.length == strlen(name.bytes) && name.length <= NAME_LENGTH_MAX);
	insist(!strchr(name.bytes, '/'));
	insist((kind == NAME_SEMAPHORE) <= name_is_semaphore(name.bytes));
}

static void check_path(const char *given)
{
	struct name name;
	int judged = path_judge(given, &name);

	if (judged != PATH_NAME)
		return;
	insist(given[0] == '/' && strstr(given, name.bytes));
	insist(name_is_valid(name.bytes, name.length) && name.length == strlen(name.bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	insist(text);
	memcpy(text, data, size);
	text[size] = '\0';
	check_name(NAME_SEGMENT, text);
	check_name(NAME_SEMAPHORE, text);
	check_path(text);
	name_is_valid(text, size);
	free(text);
	return 0;
}
