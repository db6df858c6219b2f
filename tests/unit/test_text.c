/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

Test(text, numbers)
{
	struct text text = TEXT_NULL;

	text_number(&text, 0);
	text_string(&text, " ");
	text_number(&text, LLONG_MIN);
	text_string(&text, " ");
	text_octal(&text, 0644);
	text_string(&text, " ");
	text_errno(&text, ENOENT);
	cr_assert_str_eq(text.bytes, "0 -9223372036854775808 0644 ENOENT");
	cr_assert(!text.cut);
}

Test(text, what_does_not_fit_is_cut_and_said_so)
{
	struct text text = TEXT_NULL;

	for (int i = 0; i < 100; i++)
		text_string(&text, "0123456789");
	cr_assert(text.cut);
	cr_assert_eq(text.length, sizeof text.bytes - 1);
	cr_assert_eq(strlen(text.bytes), text.length);
}

Test(log, settings)
{
	cr_expect_eq(log_parse(NULL).level, LOG_OFF);
	cr_expect_eq(log_parse("").level, LOG_OFF);
	cr_expect_eq(log_parse("nonsense").level, LOG_OFF);
	cr_expect_eq(log_parse("err").level, LOG_OFF);
	cr_expect_eq(log_parse("error").level, LOG_ERROR);
	cr_expect_eq(log_parse("trace").level, LOG_TRACE);
	cr_expect_str_eq(log_parse("info:/tmp/x:y").path, "/tmp/x:y");
	cr_expect_eq(log_parse("info:/tmp/x:y").level, LOG_INFO);
}

Test(log, a_line_is_one_line_whatever_its_length)
{
	char path[] = "/tmp/shmemu-test-log-XXXXXX";
	int file = mkstemp(path);
	char setting[64];
	char got[2048];
	struct text text = TEXT_NULL;
	struct log log;
	ssize_t size;

	cr_assert_geq(file, 0);
	snprintf(setting, sizeof setting, "error:%s", path);
	log = log_parse(setting);
	for (int i = 0; i < 100; i++)
		text_string(&text, "0123456789");
	log_line(&log, LOG_INFO, &text);
	log_line(&log, LOG_ERROR, &text);
	size = read(file, got, sizeof got);
	unlink(path);
	close(file);
	cr_assert_gt(size, 100, "the error is there");
	cr_assert_leq(size, 512, "and the info is not");
	cr_assert_eq(memchr(got, '\n', (size_t)size), got + size - 1, "one line");
}
