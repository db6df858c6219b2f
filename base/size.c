/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/size.h"

#include <stdbool.h>
#include <sys/sysinfo.h>

#include "base/sys.h"

static const uint64_t end = UINT64_C(1) << 60;

/* Returns how many letters the number has; 0: it is none, or too large. */
static size_t parse_number(const char *text, uint64_t *ret_number)
{
	uint64_t number = 0;
	size_t length = 0;

	for (; text[length] >= '0' && text[length] <= '9'; length++) {
		number = number * 10 + (uint64_t)(text[length] - '0');
		if (number >= end)
			return 0;
	}
	*ret_number = number;
	return length;
}

/* Bits to shift by, or -1. */
static int unit_bits(const char *unit)
{
	static const char units[] = "kmgt";

	if (!unit[0])
		return 0;
	for (int i = 0; units[i]; i++)
		if ((unit[0] | 0x20) == units[i] && !unit[1])
			return 10 * (i + 1);
	return -1;
}

int size_parse_count(const char *text, uint64_t *ret_count)
{
	uint64_t number;
	size_t length = parse_number(text, &number);
	int bits = length ? unit_bits(text + length) : -1;

	if (bits < 0 || number >= end >> bits)
		return -EINVAL;
	*ret_count = number << bits;
	return 0;
}

static bool is_percent(const char *text)
{
	return text[0] == '%' && !text[1];
}

int size_parse(const char *text, uint64_t *ret_bytes)
{
	enum { PERCENT_MAX = 100000 };
	struct sysinfo host;
	uint64_t number;
	size_t length = parse_number(text, &number);
	int result;

	if (!length || !is_percent(text + length))
		return size_parse_count(text, ret_bytes);
	if (number > PERCENT_MAX)
		return -EINVAL;
	result = (int)sys_call(SYS_sysinfo, (long)&host, 0, 0, 0, 0, 0);
	if (result < 0)
		return result;
	/* In pages, as tmpfs has it. */
	*ret_bytes = (uint64_t)host.totalram / 4096 * host.mem_unit * number / 100 * 4096;
	return 0;
}
