/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A folder made anew: a tmpfs on top of the old one, into which each entry is bound from the old
 * one underneath, but for those that are to be missing or to be others. Between begin and end
 * the old folder is the working folder. In a mount namespace of one's own only. Each ends the
 * program with one line when the host refuses. */
#ifndef SHMEMU_CLI_ANEW_H
#define SHMEMU_CLI_ANEW_H

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/text.h"

struct anew {
	const char *path;
	DIR *old;
	int before;             /* the working folder */
	char before_path[PATH_MAX];
	mode_t umask_before;
	mode_t mode;            /* the old folder's */
};

struct text anew_path(const char *folder, const char *name);

void anew_begin(struct anew *anew, const char *path);

/* Mounts the new one, empty. */
void anew_cover(const struct anew *anew, unsigned long flags);

/* Binds the entries, but those for which `is_left_out` says so. */
void anew_copy(const struct anew *anew, bool (*is_left_out)(const void *context, const char *name),
               const void *context);

/* Of the old folder's link. Returns 0 or -errno. */
int anew_copy_link(const char *name, const char *target);

/* Ends it where nothing new is on top. */
void anew_leave(struct anew *anew);

/* `sealed`: nobody adds entries, the owner neither. */
void anew_end(struct anew *anew, bool sealed);

#endif
