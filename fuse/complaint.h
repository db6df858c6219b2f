/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a program that libfuse starts, fusermount3(1), says on standard error: to be told in a line
 * of our own. */
#ifndef SHMEMU_FUSE_COMPLAINT_H
#define SHMEMU_FUSE_COMPLAINT_H

#include <stddef.h>

struct complaint {
	int said;   /* owned; the end of a pipe, or -1 */
	int before; /* owned; standard error as it was */
};

/* From now on standard error is ours, until complaint_end. */
void complaint_begin(struct complaint *ret_complaint);

/* Puts its first line into `line`, which is empty when nothing was said. */
void complaint_end(struct complaint *complaint, char *line, size_t size);

#endif
