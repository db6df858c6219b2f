/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/human.h"

#include <inttypes.h>
#include <stdio.h>

const char *human_bytes(char text[static HUMAN_SIZE], uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	int unit = 0;
	uint64_t tenths;

	while (unit < 6 && bytes >> (10 * (unit + 1)))
		unit++;
	/* In tenths of the unit, rounded, with nothing that could overflow. */
	tenths = (bytes >> (10 * unit)) * 10;
	if (unit)
		tenths += (((bytes >> (10 * (unit - 1))) & 1023) * 10 + 512) >> 10;
	/* 1023.96K is 1M. */
	if (tenths >= 10240 && unit < 6) {
		tenths = 10;
		unit++;
	}
	if (tenths % 10)
		snprintf(text, HUMAN_SIZE, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10, tenths % 10,
		         units[unit]);
	else
		snprintf(text, HUMAN_SIZE, "%" PRIu64 "%c", tenths / 10, units[unit]);
	return text;
}

const char *human_age(char text[static HUMAN_SIZE], int64_t seconds)
{
	static const struct {
		int64_t seconds;
		char letter;
	} units[] = {{24 * 60 * 60, 'd'}, {60 * 60, 'h'}, {60, 'm'}, {1, 's'}};
	size_t unit = 0;

	if (seconds < 0)
		seconds = 0;
	while (unit < 3 && seconds < units[unit].seconds)
		unit++;
	snprintf(text, HUMAN_SIZE, "%" PRId64 "%c", seconds / units[unit].seconds,
	         units[unit].letter);
	return text;
}
