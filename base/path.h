/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one judge of paths: which lead to the store. */
#ifndef SHMEMU_BASE_PATH_H
#define SHMEMU_BASE_PATH_H

#include "base/name.h"

enum path_kind {
	PATH_FOREIGN, /* not ours */
	PATH_FOLDER,  /* /dev/shm itself */
	PATH_NAME,    /* a file in it */
};

/* Judges an absolute path by its letters alone: "//dev/./shm//x" and "/dev/../dev/shm/x" are
 * ours; what goes through other folders, or deeper, is not. `path` may be NULL. Returns a
 * path_kind, and for PATH_NAME fills in the name, or -ENAMETOOLONG for a file name over 255
 * bytes. */
int path_judge(const char *path, struct name *ret_name);

#endif
