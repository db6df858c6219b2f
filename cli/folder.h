/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The private folder of one run. */
#ifndef SHMEMU_CLI_FOLDER_H
#define SHMEMU_CLI_FOLDER_H

#include "base/text.h"

struct folder {
	struct text outer; /* in $TMPDIR */
	struct text place; /* the SHMEMU_DIR: the same, or a folder in it */
};

/* Ends the program with one line if it can't be made. */
void folder_make(struct folder *ret_folder);

void folder_remove(const struct folder *folder);

#endif
