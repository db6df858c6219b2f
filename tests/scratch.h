/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A folder for the length of a test, in the place of the one that a daemon serves. */
#ifndef SHMEMU_TESTS_SCRATCH_H
#define SHMEMU_TESTS_SCRATCH_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct scratch {
	char path[256];
	int folder; /* owned */
};

static inline struct scratch scratch_make(void)
{
	struct scratch scratch = {.folder = -1};
	const char *folder = getenv("TMPDIR");

	snprintf(scratch.path, sizeof scratch.path, "%s/shmemu-scratch-XXXXXX",
	         folder ? folder : "/tmp");
	if (mkdtemp(scratch.path))
		scratch.folder = open(scratch.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return scratch;
}

/* It must be empty by now. Returns whether it was. */
static inline int scratch_remove(struct scratch *scratch)
{
	close(scratch->folder);
	return rmdir(scratch->path) == 0;
}

#endif
