/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/path.h"

Test(path, many_ways_to_one_file)
{
	static const char *const ours[] = {
		"/dev/shm/x", "//dev/shm//x", "/dev/./shm/x", "/./dev/shm/./x", "/dev/../dev/shm/x",
		"/../dev/shm/x", "/dev/shm/../shm/x", "/../../dev/shm/x",
	};
	struct name name;

	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
		cr_expect_eq(path_judge(ours[i], &name), PATH_NAME, "%s", ours[i]);
		cr_expect_str_eq(name.bytes, "x");
		cr_expect_eq(name.length, 1);
	}
}

Test(path, the_folder_itself)
{
	static const char *const folders[] = {"/dev/shm", "/dev/shm/", "//dev//shm//",
	                                      "/dev/shm/."};
	struct name name;

	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
		cr_expect_eq(path_judge(folders[i], &name), PATH_FOLDER, "%s", folders[i]);
}

Test(path, all_others_are_foreign)
{
	static const char *const foreign[] = {
		NULL,
		"",
		"/",
		"/dev",
		"/dev/",
		"/dev/shm/..",
		"dev/shm/x",
		"/tmp/x",
		"/dev/shmx",
		"/dev/sh",
		"/device/shm/x",
		"/dev/shm/x/y",
		"/dev/shm/x/",
		"/tmp/../dev/shm/x",
		"/dev/null",
		"/dev/shm/../null",
		"/dev/shm/x/../y",
		"/dev/shm/x/.",
	};
	struct name name;

	for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
		cr_expect_eq(path_judge(foreign[i], &name), PATH_FOREIGN, "%s", foreign[i]);
}

Test(path, long_names)
{
	char path[400] = "/dev/shm/";
	struct name name;

	memset(path + 9, 'x', 255);
	cr_expect_eq(path_judge(path, &name), PATH_NAME);
	cr_expect_eq(name.length, 255);
	path[9 + 255] = 'x';
	cr_expect_eq(path_judge(path, &name), -ENAMETOOLONG);
}
