/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/conform/compare.h"

#include <stdio.h>
#include <string.h>

enum { TOLD = 6 };

struct pair {
	const char *expected, *found;
	int expected_length, found_length;
};

static size_t tell(char *report, size_t size, int line, struct pair pair)
{
	return (size_t)snprintf(report, size, "\n  line %d: natively \"%.*s\", here \"%.*s\"", line,
	                        pair.expected_length, pair.expected, pair.found_length,
	                        pair.found);
}

/* Line by line: transcripts of one program have as many lines. */
int compare_lines(const char *expected, const char *found, char *report, size_t size)
{
	int different = 0;
	size_t used = 0;

	report[0] = '\0';
	for (int line = 1; *expected || *found; line++) {
		size_t a = strcspn(expected, "\n");
		size_t b = strcspn(found, "\n");

		if (a != b || memcmp(expected, found, a) != 0) {
			different++;
			if (different <= TOLD && used < size)
				used += tell(report + used, size - used, line,
				             (struct pair){expected, found, (int)a, (int)b});
		}
		expected += a + (expected[a] == '\n');
		found += b + (found[b] == '\n');
	}
	return different;
}
