/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/log.h"

#include <string.h>

#include "base/own.h"

static const char *const level_names[] = {
	[LOG_OFF] = "off",
	[LOG_ERROR] = "error",
	[LOG_INFO] = "info",
	[LOG_TRACE] = "trace",
};

enum { LEVEL_COUNT = sizeof level_names / sizeof level_names[0] };

struct log log_parse(const char *setting)
{
	struct log log = {.level = LOG_OFF};
	size_t length = setting ? strcspn(setting, ":") : 0;

	for (int level = 0; setting && level < LEVEL_COUNT; level++) {
		const char *name = level_names[level];

		if (strlen(name) == length && memcmp(name, setting, length) == 0)
			log.level = (enum log_level)level;
	}
	if (log.level == LOG_OFF || setting[length] == '\0')
		return log;
	/* A path that does not fit would name another file. */
	if (strlen(setting + length + 1) >= sizeof log.path)
		return (struct log){.level = LOG_OFF};
	strcpy(log.path, setting + length + 1);
	return log;
}

void log_line(const struct log *log, enum log_level level, const struct text *text)
{
	struct text line = TEXT_NULL;
	OWN_FD file = -1;

	if (level > log->level)
		return;
	text_string(&line, "shmemu[");
	text_number(&line, sys_getpid());
	text_string(&line, "]: ");
	text_bytes(&line, text->bytes, text->length);
	if (line.cut)
		line.length = sizeof line.bytes - 1;
	/* The NUL's place takes the line's end. */
	line.bytes[line.length++] = '\n';

	if (log->path[0])
		file = sys_openat(AT_FDCWD, log->path,
		                  O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC, 0600);
	if (!log->path[0])
		sys_write(STDERR_FILENO, line.bytes, line.length);
	else if (file >= 0)
		sys_write(file, line.bytes, line.length);
}
