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

/* What is left of a path is its end, and what comes before leads to where it is said to: judged by
 * itself it comes to the same depth. */
static void check_path(const char *prefix, const char *given)
{
	struct path_place place = PATH_ROOT;
	struct path_place again = PATH_ROOT;
	enum path_kind kind = path_judge(prefix, given, &place);
	size_t length = strlen(given) - strlen(place.rest);
	char *before = strndup(given, length);

	insist(before && strcmp(given + length, place.rest) == 0);
	insist(place.rest[0] != '/');
	insist(kind != PATH_OURS || place.was_ours);
	insist(path_judge(prefix, before, &again) != PATH_FOREIGN);
	insist(again.depth == place.depth && again.was_ours == place.was_ours);
	insist((kind == PATH_OURS) <= (place.depth == 2));
	free(before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	insist(text);
	memcpy(text, data, size);
	text[size] = '\0';
	check_name(NAME_SEGMENT, text);
	check_name(NAME_SEMAPHORE, text);
	check_path("/dev/shm", text);
	check_path("//d//s/", text);
	name_is_valid(text, size);
	free(text);
	return 0;
}
