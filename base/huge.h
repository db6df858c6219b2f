/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which parts of files get huge pages, in tmpfs(5)'s words. */
#ifndef SHMEMU_BASE_HUGE_H
#define SHMEMU_BASE_HUGE_H

#include <stdbool.h>

enum huge {
	HUGE_DEFAULT, /* within_size, where that can be had */
	HUGE_NEVER,
	HUGE_WITHIN_SIZE, /* what is as large as one, and within the file */
	HUGE_ADVISE,      /* what madvise(2) asks for */
	HUGE_ALWAYS,      /* even where the file is smaller */
	HUGE_COUNT,
};

/* For a mistake's line. */
#define HUGE_WORDS "never, within_size, advise or always"

/* Returns 0, or -EINVAL for any other word. */
int huge_parse(const char *word, enum huge *ret_huge);
const char *huge_word(enum huge huge);

/* Does this empty file (borrowed) of the kernel's memory get them without being asked, when it is
 * large? As things are now, the system's own setting included. The file becomes large. Returns 1, 0
 * or -errno. */
int huge_is_given(int file);

#endif
