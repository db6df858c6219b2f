/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/trace.h"

#include <fcntl.h>
#include <stdbool.h>

#include "preload/boot.h"

static bool is_on(void)
{
	return boot_config()->log.level >= LOG_TRACE;
}

static struct text begin(const char *call)
{
	struct text line = TEXT_NULL;

	text_string(&line, call);
	text_string(&line, "(");
	return line;
}

static void quote(struct text *line, const char *name)
{
	text_string(line, "\"");
	text_printable(line, name);
	text_string(line, "\"");
}

static void end(struct text *line, long result)
{
	text_string(line, ") = ");
	text_number(line, result < 0 && result > -4096 ? -1 : result);
	if (result < 0 && result > -4096) {
		text_string(line, " ");
		text_errno(line, (int)-result);
	}
	log_line(&boot_config()->log, LOG_TRACE, line);
}

void trace_open(const char *call, const char *name, int oflag, mode_t mode, long result)
{
	struct text line;

	if (!is_on())
		return;
	line = begin(call);
	quote(&line, name);
	text_string(&line, ", ");
	text_octal(&line, (unsigned long)oflag);
	if (oflag & O_CREAT) {
		text_string(&line, ", ");
		text_octal(&line, mode);
	}
	end(&line, result);
}

void trace_name(const char *call, const char *name, long result)
{
	struct text line;

	if (!is_on())
		return;
	line = begin(call);
	quote(&line, name);
	end(&line, result);
}

void trace_address(const char *call, const void *address, int result)
{
	struct text line;

	if (!is_on())
		return;
	line = begin(call);
	text_number(&line, (long)address);
	end(&line, result);
}

void trace_number(const char *call, long number, long result)
{
	struct text line;

	if (!is_on())
		return;
	line = begin(call);
	text_number(&line, number);
	end(&line, result);
}
