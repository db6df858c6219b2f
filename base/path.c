/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/path.h"

#include <string.h>

static const char *skip_slashes(const char *path)
{
	return path + strspn(path, "/");
}

static bool is_word(const char *part, size_t length, const char *word)
{
	return strncmp(part, word, length) == 0 && !word[length];
}

size_t path_length(const char *prefix, size_t depth)
{
	const char *at = prefix;

	while (depth-- > 0) {
		at = skip_slashes(at);
		at += strcspn(at, "/");
	}
	return (size_t)(at - prefix);
}

/* The prefix's component behind `depth` others; of length 0 when there is none. */
static const char *component(const char *prefix, size_t depth, size_t *ret_length)
{
	const char *at = skip_slashes(prefix + path_length(prefix, depth));

	*ret_length = strcspn(at, "/");
	return at;
}

enum path_kind path_judge(const char *prefix, const char *path, struct path_place *place)
{
	size_t wanted_length;
	const char *wanted = component(prefix, place->depth, &wanted_length);

	for (place->rest = skip_slashes(path);; place->rest = skip_slashes(place->rest)) {
		const char *part = place->rest;
		size_t length = strcspn(part, "/");

		place->was_ours |= !wanted_length;
		if (!length)
			return wanted_length ? PATH_ABOVE : PATH_OURS;
		if (is_word(part, length, "..")) {
			/* Above the root is the root. */
			place->depth -= place->depth > 0;
		} else if (!is_word(part, length, ".")) {
			if (!wanted_length)
				return PATH_OURS;
			if (length != wanted_length || memcmp(part, wanted, length) != 0)
				return PATH_FOREIGN;
			place->depth++;
		} else if (!wanted_length && !*skip_slashes(part + 1)) {
			return PATH_OURS;
		}
		place->rest += length;
		wanted = component(prefix, place->depth, &wanted_length);
	}
}
