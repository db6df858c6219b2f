/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/name.h"

static int parse_length(enum name_kind kind, size_t length)
{
	char given[400];
	struct name name;

	memset(given, 'x', length);
	given[length] = '\0';
	return name_parse(kind, given, &name);
}

Test(name, leading_slashes_are_stripped)
{
	struct name name;

	cr_assert_eq(name_parse(NAME_SEGMENT, "///a", &name), 0);
	cr_assert_str_eq(name.bytes, "a");
	cr_assert_eq(name.length, 1);
	cr_assert_eq(name_parse(NAME_SEMAPHORE, "/a", &name), 0);
	cr_assert_str_eq(name.bytes, "sem.a");
}

Test(name, empty_and_inner_slashes_are_refused)
{
	static const char *const refused[] = {"", "/", "///", "a/b", "/a/", "/a/b"};
	struct name name;

	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		cr_expect_eq(name_parse(NAME_SEGMENT, refused[i], &name), -EINVAL, "%s",
		             refused[i]);
		cr_expect_eq(name_parse(NAME_SEMAPHORE, refused[i], &name), -EINVAL, "%s",
		             refused[i]);
	}
}

/* The limits of glibc's buffer, not the kernel's: see name.c. The probe `names` holds them
 * against the libc. */
Test(name, long_names_fail_as_in_glibc)
{
	cr_expect_eq(parse_length(NAME_SEGMENT, 255), 0);
	cr_expect_eq(parse_length(NAME_SEGMENT, 256), -ENAMETOOLONG);
	cr_expect_eq(parse_length(NAME_SEGMENT, 259), -ENAMETOOLONG);
	cr_expect_eq(parse_length(NAME_SEGMENT, 260), -EINVAL);
	cr_expect_eq(parse_length(NAME_SEMAPHORE, 251), 0);
	cr_expect_eq(parse_length(NAME_SEMAPHORE, 252), -ENAMETOOLONG);
	cr_expect_eq(parse_length(NAME_SEMAPHORE, 255), -ENAMETOOLONG);
	cr_expect_eq(parse_length(NAME_SEMAPHORE, 256), -EINVAL);
}

Test(name, only_possible_file_names_are_valid)
{
	cr_expect(name_is_valid("a", 1));
	cr_expect(name_is_valid("...", 3));
	cr_expect(!name_is_valid("", 0));
	cr_expect(!name_is_valid(".", 1));
	cr_expect(!name_is_valid("..", 2));
	cr_expect(!name_is_valid("a/b", 3));
	cr_expect(!name_is_valid("a\0b", 3));
}
