/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHMEMU_LOG: one line, one write, to standard error or to a file; nothing unless asked for. */
#ifndef SHMEMU_BASE_LOG_H
#define SHMEMU_BASE_LOG_H

#include "base/text.h"

enum log_level { LOG_OFF, LOG_ERROR, LOG_INFO, LOG_TRACE };

struct log {
	enum log_level level;
	char path[256]; /* empty: standard error */
};

/* Reads "LEVEL" or "LEVEL:FILE"; NULL and what it can't read are off. */
struct log log_parse(const char *setting);

/* Writes "shmemu[PID]: TEXT\n" if the log is at `level` or above. Opens the file for each line,
 * so that no descriptor is kept in a program that may close or count its own. Errors are ignored.
 */
void log_line(const struct log *log, enum log_level level, const struct text *text);

#endif
