/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* doctor: whether the library reaches a program. Nothing is run. */
#ifndef SHMEMU_CLI_INSPECT_H
#define SHMEMU_CLI_INSPECT_H

#include <stdbool.h>
#include <sys/types.h>

/* Each prints a table and a verdict, and returns the exit status. */
int inspect_command(char **argv, bool json, bool colours);
int inspect_process(pid_t pid, bool json, bool colours);

#endif
