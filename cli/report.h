/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a run left behind. */
#ifndef SHMEMU_CLI_REPORT_H
#define SHMEMU_CLI_REPORT_H

#include <stdbool.h>

/* Asks the daemon at the other end of `sock` how many names and IPC objects there are, and says
 * each if `aloud`, and whether processes have any in use. Returns their number or -errno. */
int report_names(int sock, bool aloud, bool *ret_in_use);

#endif
