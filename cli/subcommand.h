/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The subcommands, and the exit statuses that all of them share. */
#ifndef SHMEMU_CLI_SUBCOMMAND_H
#define SHMEMU_CLI_SUBCOMMAND_H

/* As env(1) and its kin have them: anything else is COMMAND's own. */
enum { EXIT_TOOL = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

/* Each takes its own name as argv[0] and returns the exit status. */
int run_main(int argc, char **argv);
int without_main(int argc, char **argv);
int ls_main(int argc, char **argv);
int rm_main(int argc, char **argv);
int limit_main(int argc, char **argv);
int doctor_main(int argc, char **argv);
int upgrade_main(int argc, char **argv);

#endif
