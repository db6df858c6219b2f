/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* trace: programs that the library does not reach. */
#ifndef SHMEMU_CLI_UNSEEN_H
#define SHMEMU_CLI_UNSEEN_H

#include <sys/types.h>

#include "cli/judge.h"

/* Says so, once, if nothing will be heard of this program. A path is looked at from where process
 * `pid` is, a name without a slash along PATH. */
void unseen_tell(const struct judge *judge, const char *program, pid_t pid);

#endif
