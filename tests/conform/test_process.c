/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes and threads, descriptors and signals. */
#include "tests/conform/conform.h"

CONFORM_ALL(life, "life")
CONFORM_ALL(fds, "fds")
IN_SERVED_WORLDS(hold, fork_semaphores, "life", "semaphores")
IN_EMBEDDED_WORLDS(hold, fork_semaphores, "life", "semaphores")
