/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LD_PRELOAD, for COMMAND. */
#ifndef SHMEMU_CLI_PRELOAD_H
#define SHMEMU_CLI_PRELOAD_H

/* Puts the library before what is there, once. Ends the program with one line when there is no
 * memory. */
void preload_library(const char *path);

#endif
