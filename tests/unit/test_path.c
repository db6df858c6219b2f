/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>
#include <string.h>

#include "base/path.h"

#define PREFIX "/dev/shm"
enum { DEPTH = 2 };

static enum path_kind judge(const char *path, struct path_place *ret_place)
{
	*ret_place = PATH_ROOT;
	return path_judge(PREFIX, path, ret_place);
}

static void expect_ours(const char *path, const char *rest)
{
	struct path_place place;

	cr_expect_eq(judge(path, &place), PATH_OURS, "%s", path);
	cr_expect_str_eq(place.rest, rest, "%s", path);
	cr_expect(place.was_ours);
	cr_expect_eq(place.depth, DEPTH);
}

Test(path, many_ways_to_one_file)
{
	static const char *const ours[] = {
		"/dev/shm/x", "//dev/shm//x", "/dev/./shm/x", "/./dev/shm/./x", "/dev/../dev/shm/x",
		"/../dev/shm/x", "/dev/shm/../shm/x", "/../../dev/shm/x", "/dev/shm/./././x",
	};

	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
		expect_ours(ours[i], "x");
}

Test(path, the_folder_itself)
{
	expect_ours("/dev/shm", "");
	expect_ours("/dev/shm/", "");
	expect_ours("//dev//shm//", "");
	expect_ours("/dev/shm/../shm", "");
	/* Some calls care. */
	expect_ours("/dev/shm/.", ".");
	expect_ours("/dev/shm/././/", ".//");
}

/* There may be links: it is for whoever follows them to say where a ".." leads. */
Test(path, nothing_is_judged_below)
{
	expect_ours("/dev/shm/x/y", "x/y");
	expect_ours("/dev/shm/x/", "x/");
	expect_ours("/dev/shm/x/../y", "x/../y");
	expect_ours("/dev/shm/x/../../null", "x/../../null");
	expect_ours("/dev/shm//x//./..//", "x//./..//");
	expect_ours("/dev/shm/...", "...");
	expect_ours("/dev/shm/.x", ".x");
}

Test(path, all_others_are_foreign)
{
	static const char *const foreign[] = {
		"/tmp/x", "/dev/shmx", "/dev/sh", "/device/shm/x", "/tmp/../dev/shm/x", "/dev/null",
		"/shm/x", "/dev/x/../shm", "/.../dev/shm", "/dev/shm2/paths",
	};
	struct path_place place;

	for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
		cr_expect_eq(judge(foreign[i], &place), PATH_FOREIGN, "%s", foreign[i]);
		cr_expect_not(place.was_ours);
	}
}

Test(path, above_and_then_down)
{
	struct path_place place;

	cr_expect_eq(judge("/", &place), PATH_ABOVE);
	cr_expect_eq(place.depth, 0);
	cr_expect_eq(judge("/dev/.", &place), PATH_ABOVE);
	cr_expect_eq(place.depth, 1);
	cr_expect_eq(path_judge(PREFIX, "shm//x", &place), PATH_OURS);
	cr_expect_str_eq(place.rest, "x");
	cr_expect_eq(judge("", &place), PATH_ABOVE);
}

Test(path, out_again)
{
	struct path_place place;

	cr_expect_eq(judge("/dev/shm/../null", &place), PATH_FOREIGN);
	cr_expect(place.was_ours);
	cr_expect_eq(place.depth, 1);
	cr_expect_str_eq(place.rest, "null");
	cr_expect_eq(judge("/dev/shm/..", &place), PATH_ABOVE);
	cr_expect(place.was_ours);
	cr_expect_eq(place.depth, 1);
	/* As a path that has left the store goes on. */
	judge(PREFIX, &place);
	cr_expect_eq(path_judge(PREFIX, "../../tmp/x", &place), PATH_FOREIGN);
	cr_expect_eq(place.depth, 0);
	cr_expect_str_eq(place.rest, "tmp/x");
}

Test(path, any_prefix)
{
	struct path_place place = PATH_ROOT;

	cr_expect_eq(path_judge("//run//shm/", "/run/shm/x", &place), PATH_OURS);
	cr_expect_str_eq(place.rest, "x");
	place = PATH_ROOT;
	cr_expect_eq(path_judge("/x", "/x", &place), PATH_OURS);
	place = PATH_ROOT;
	cr_expect_eq(path_judge("/a/b/c", "/a/b", &place), PATH_ABOVE);
	cr_expect_eq(place.depth, 2);
	cr_expect_eq(path_length("/a/b/c", 2), strlen("/a/b"));
	cr_expect_eq(path_length("//a//b/", 2), strlen("//a//b"));
	cr_expect_eq(path_length("/a", 0), 0);
}
