/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/conform/compare.h"

#include <stdio.h>
#include <string.h>

enum { TOLD = 40 };

struct pair {
	const char *expected, *found;
	int expected_length, found_length;
};

static size_t tell(char *report, size_t size, int line, struct pair pair)
{
	return (size_t)snprintf(report, size, "\n  line %d: wanted \"%.*s\", here \"%.*s\"", line,
	                        pair.expected_length, pair.expected, pair.found_length,
	                        pair.found);
}

/* Line by line: transcripts of one program have as many lines. */
static bool matches(struct pair pair)
{
	int length = pair.expected_length;

	if (length > 0 && pair.expected[0] == '{' && pair.expected[length - 1] == '*')
		return pair.found_length >= length - 1 &&
		       memcmp(pair.expected, pair.found, (size_t)length - 1) == 0;
	return length == pair.found_length &&
	       memcmp(pair.expected, pair.found, (size_t)length) == 0;
}

/* What must be found where natively this is. */
static struct pair wanted_of(enum world_kind kind, uid_t uid, const char *native, size_t length)
{
	const char *other = difference_of(kind, uid, native, length);

	return (struct pair){
		.expected = other ? other : native,
		.expected_length = other ? (int)strlen(other) : (int)length,
	};
}

int compare_lines(enum world_kind kind, uid_t uid, const char *expected, const char *found,
                  char *report, size_t size)
{
	int different = 0;
	size_t used = 0;

	report[0] = '\0';
	for (int line = 1; *expected || *found; line++) {
		size_t a = strcspn(expected, "\n");
		size_t b = strcspn(found, "\n");
		struct pair pair = wanted_of(kind, uid, expected, a);

		pair.found = found;
		pair.found_length = (int)b;
		if (!matches(pair)) {
			different++;
			if (different <= TOLD && used < size)
				used += tell(report + used, size - used, line, pair);
		}
		expected += a + (expected[a] == '\n');
		found += b + (found[b] == '\n');
	}
	return different;
}
