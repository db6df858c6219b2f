/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/sysinfo.h>

#include "base/size.h"

Test(size, what_is_one)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
		{"0", 0},          {"1", 1},           {"4096", 4096},         {"1k", 1 << 10},
		{"1K", 1 << 10},   {"64m", 64 << 20},  {"2G", 2ULL << 30},     {"1t", 1ULL << 40},
		{"007", 7},        {"0t", 0},          {"1048575t", 1048575ULL << 40},
		{"1152921504606846975", (1ULL << 60) - 1},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint64_t bytes = 99;

		cr_expect_eq(size_parse(cases[i].text, &bytes), 0, "%s", cases[i].text);
		cr_expect_eq(bytes, cases[i].bytes, "%s", cases[i].text);
		cr_expect_eq(size_parse_count(cases[i].text, &bytes), 0, "%s", cases[i].text);
	}
}

Test(size, what_is_none)
{
	static const char *const cases[] = {
		"", "k", "%", "-1", "+1", " 1", "1 ", "1kb", "1ki", "1x", "1.5g", "0x10", "1%%",
		"1k%",
		"1152921504606846976", "1048576t", "99999999999999999999999999", "100001%", "many",
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint64_t bytes = 99;

		cr_expect_eq(size_parse(cases[i], &bytes), -EINVAL, "%s", cases[i]);
		cr_expect_eq(bytes, 99, "%s", cases[i]);
		cr_expect_eq(size_parse_count(cases[i], &bytes), -EINVAL, "%s", cases[i]);
	}
}

Test(size, percent_is_of_memory)
{
	struct sysinfo host;
	uint64_t memory;
	uint64_t bytes;

	cr_assert_eq(sysinfo(&host), 0);
	memory = (uint64_t)host.totalram * host.mem_unit;
	cr_assert_eq(size_parse("100%", &bytes), 0);
	cr_assert(bytes <= memory && bytes > memory - 4096);
	cr_assert_eq(size_parse("50%", &bytes), 0);
	cr_assert(bytes <= memory / 2 && bytes > memory / 2 - 2 * 4096 && bytes % 4096 == 0);
	cr_assert_eq(size_parse("0%", &bytes), 0);
	cr_assert_eq(bytes, 0);
	cr_assert_eq(size_parse_count("50%", &bytes), -EINVAL);
}
