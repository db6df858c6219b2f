/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LD_PRELOAD, for COMMAND. Each puts a library before what is there, once, and ends the program
 * with one line when there is no memory. */
#ifndef SHMEMU_CLI_PRELOAD_H
#define SHMEMU_CLI_PRELOAD_H

/* But behind the tracer, which is to see what the library is asked. */
void preload_library(const char *path);

void preload_tracer(const char *path);

#endif
