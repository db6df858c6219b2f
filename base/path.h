/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one judge of paths: which lead below a prefix, by their letters alone. */
#ifndef SHMEMU_BASE_PATH_H
#define SHMEMU_BASE_PATH_H

#include <stdbool.h>
#include <stddef.h>

enum path_kind {
	PATH_FOREIGN, /* elsewhere */
	PATH_ABOVE,   /* it ends at the host's root, or at a folder that the prefix goes through */
	PATH_OURS,    /* it ends at the prefix's last folder, or goes on below it */
};

/* How far along a prefix a path has led. All 0: to the host's root. */
struct path_place {
	size_t depth;     /* components of the prefix that lie behind */
	bool was_ours;    /* it has been in the prefix's last folder */
	const char *rest; /* what is left of the path, with no slash before it; a last "." stays */
};

/* Judges where `path` leads from `place` on, of which it tells what became: "//dev/./shm//x" and
 * "/dev/../dev/shm/x" lead to "x" below "/dev/shm", and "/dev/shm/../null" with "null" left from
 * "/dev" on. Leading slashes count for nothing, so for a path from the root `place` is to be
 * PATH_ROOT. `prefix` begins with a slash. Below the prefix nothing is judged: there may be links.
 */
#define PATH_ROOT ((struct path_place){.depth = 0})
enum path_kind path_judge(const char *prefix, const char *path, struct path_place *place);

/* The bytes of the first `depth` components of a prefix, from its first slash on. */
size_t path_length(const char *prefix, size_t depth);

#endif
