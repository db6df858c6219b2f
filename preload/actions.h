/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What posix_spawn's children do by path before they execute. */
#ifndef SHMEMU_PRELOAD_ACTIONS_H
#define SHMEMU_PRELOAD_ACTIONS_H

#include <spawn.h>

/* The folder of ours, borrowed, that the child's last change of its working folder by path leads
 * to. -1: there is none. */
int actions_folder(const posix_spawn_file_actions_t *actions);

#endif
