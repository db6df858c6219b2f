/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Four pages of memory, of whichever kind and sharing. */
#ifndef SHMEMU_TESTS_PROBES_SUBJECT_H
#define SHMEMU_TESTS_PROBES_SUBJECT_H

#include "tests/probes/mapping.h"

#define LENGTH(pages) ((size_t)(pages) * PAGE)

enum { PAGES = 4 };

/* Of a kind, shared or private; of no kind (MAPPING_KINDS): anonymous. */
struct subject {
	enum mapping_kind kind;
	int sharing;
};

/* The file of the last that was made, or -1. */
extern int subject_fd;

/* Maps it, with a letter in each page. */
char *subject_make(struct subject subject);

/* Says what the file has, if there is one. */
void subject_tell_file(void);

#endif
