/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tool says: one line, one write, to standard error. */
#ifndef SHMEMU_CLI_SAY_H
#define SHMEMU_CLI_SAY_H

/* Writes "shmemu: TEXT\n". Whatever of the text could steer a terminal is shown as \xHH, so
 * that names and command lines of others may be passed as they are. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, and ends the program with EXIT_TOOL. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A text, or its first 4096 bytes, in which what could steer a terminal is \xHH, as libsmartcols
 * has it in tables. Owned by the caller. */
char *say_clean(const char *text);

#endif
