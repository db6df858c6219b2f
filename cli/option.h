/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options of subcommands, as getopt_long(3) reads them. */
#ifndef SHMEMU_CLI_OPTION_H
#define SHMEMU_CLI_OPTION_H

#include "cli/subcommand.h"

/* The next option's letter, with its value in optarg; -1 behind the last, and then optind is the
 * first operand's. Where operands are a command, that ends the options. --help is answered here,
 * and ends the program; so does what is no option, with one line. */
int option_next(const struct subcommand *subcommand, int argc, char **argv);

/* Ends the program if there is an operand. */
void option_end(const struct subcommand *subcommand, int argc, char **argv);

/* Prints the help, as --help does. */
void option_help(const struct subcommand *subcommand);

#endif
