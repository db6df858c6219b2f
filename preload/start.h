/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A daemon for the user, where none runs. */
#ifndef SHMEMU_PRELOAD_START_H
#define SHMEMU_PRELOAD_START_H

#include <sys/types.h>

#include "base/text.h"

enum { START_PATIENCE_SECONDS = 10 };
#define START_IDLE_EXIT "--idle-exit=10"

/* Starts the shmfs that lies beside the library, to serve in the folder `path`, which is made if
 * it is not there, and connects. Of several processes that do this at once one starts it and the
 * others wait for that. Returns a socket owned by the caller, or -errno with what failed in
 * ret_why. */
int start_and_connect(const char *path, uid_t uid, struct text *ret_why);

#endif
