/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/path.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int judge(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return -errno;
	return S_ISREG(status.st_mode) && access(path, X_OK) == 0 ? 0 : -EACCES;
}

int path_find(const char *name, char ret_path[static PATH_MAX])
{
	const char *folder = getenv("PATH");
	bool is_refused = false;

	if (strchr(name, '/')) {
		snprintf(ret_path, PATH_MAX, "%s", name);
		return judge(name);
	}
	/* As libc has it where there is none. */
	for (folder = folder ? folder : "/bin:/usr/bin"; *name && folder;) {
		size_t length = strcspn(folder, ":");
		char path[PATH_MAX];
		int result;

		snprintf(path, sizeof path, "%.*s/%s", length ? (int)length : 1,
		         length ? folder : ".", name);
		result = judge(path);
		if (result == 0) {
			memcpy(ret_path, path, strlen(path) + 1);
			return 0;
		}
		is_refused = is_refused || result == -EACCES;
		folder = folder[length] ? folder + length + 1 : NULL;
	}
	return is_refused ? -EACCES : -ENOENT;
}
