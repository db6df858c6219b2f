/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs by their names, as execvp(3) finds them. */
#ifndef SHMEMU_CLI_PATH_H
#define SHMEMU_CLI_PATH_H

#include <limits.h>

/* Returns 0, -ENOENT, or -EACCES: it is there, but can't be executed. What has a slash is a path
 * already. */
int path_find(const char *name, char ret_path[static PATH_MAX]);

#endif
