/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The COMMAND that the subcommands end in. */
#ifndef SHMEMU_CLI_COMMAND_H
#define SHMEMU_CLI_COMMAND_H

/* Becomes the command, found by PATH. When that fails, says why and exits with 127 (not found)
 * or 126. */
_Noreturn void command_exec(char **argv);

#endif
