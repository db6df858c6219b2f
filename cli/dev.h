/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A /dev of one's own, which lacks some entries. */
#ifndef SHMEMU_CLI_DEV_H
#define SHMEMU_CLI_DEV_H

#include <stdbool.h>
#include <stddef.h>

struct dev_plan {
	const char *hidden[64]; /* names of entries */
	size_t hidden_count;
	const char *folder;    /* an empty folder to have besides, as a mount point, or NULL */
	bool sealed;           /* nobody adds entries, the owner neither */
};

/* Whether there is such an entry; `flags` are open(2)'s, such as O_DIRECTORY or O_NOFOLLOW. */
bool dev_has(const char *name, int flags);

/* Covers /dev with a new one that has all entries but the hidden. In a mount namespace of
 * one's own only. Ends the program with one line when the host refuses. */
void dev_cover(const struct dev_plan *plan);

#endif
