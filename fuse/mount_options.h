/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list after -o, as people and mount(8) write it. */
#ifndef SHMEMU_FUSE_MOUNT_OPTIONS_H
#define SHMEMU_FUSE_MOUNT_OPTIONS_H

#include <stdbool.h>

/* Goes through a list of words with commas between them, which it takes apart where it is. `take`
 * is asked about each first, KEY or KEY=VALUE (value: NULL without one), and returns whether it was
 * its business. What is mount(8)'s is dropped: defaults, noauto, user, _netdev, x-... The rest is
 * added to *rest, an allocated list or NULL. Returns 0 or -ENOMEM. */
int mount_options_split(char *list, bool (*take)(void *details, const char *key, const char *value),
                        void *details, char **rest);

/* Adds words, or KEY=VALUE, whatever is in the value, to such a list. 0 or -ENOMEM. */
int mount_options_append(char **rest, const char *words);
int mount_options_add(char **rest, const char *key, const char *value);

#endif
