/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/shown.h"
#include "cli/subcommand.h"

enum { LINE_SIZE = 4096, ESCAPE_SIZE = SHOWN_ESCAPE };

struct line {
	char bytes[sizeof "shmemu: " + LINE_SIZE * ESCAPE_SIZE];
	size_t length;
};

static void append(struct line *line, const char *bytes, size_t size)
{
	memcpy(line->bytes + line->length, bytes, size);
	line->length += size;
}

static void append_escaped(struct line *line, char byte)
{
	char escape[ESCAPE_SIZE + 1];

	snprintf(escape, sizeof escape, "\\x%02x", (unsigned char)byte);
	append(line, escape, ESCAPE_SIZE);
}

/* Takes the first character of `text`, and returns how many bytes it has. */
static size_t append_character(struct line *line, const char *text, size_t size)
{
	size_t columns;
	size_t length = shown_next(text, size, &columns);

	if (columns == SHOWN_ESCAPE)
		append_escaped(line, text[0]);
	else
		append(line, text, length);
	return length;
}

__attribute__((format(printf, 1, 0)))
static void say_arguments(const char *format, va_list arguments)
{
	char text[LINE_SIZE];
	struct line line = {.length = 0};
	size_t size, done = 0;

	vsnprintf(text, sizeof text, format, arguments);
	size = strlen(text);
	append(&line, "shmemu: ", strlen("shmemu: "));
	while (done < size)
		done += append_character(&line, text + done, size - done);
	append(&line, "\n", 1);
	/* A standard error that takes no words leaves nobody to tell. */
	if (write(STDERR_FILENO, line.bytes, line.length) < 0)
		return;
}

char *say_clean(const char *text)
{
	struct line line = {.length = 0};
	size_t size = strnlen(text, LINE_SIZE);
	size_t done = 0;
	char *clean;

	while (done < size) {
		/* What looks like one of ours is none. */
		if (strncmp(text + done, "\\x", 2) == 0)
			append_escaped(&line, text[done++]);
		else
			done += append_character(&line, text + done, size - done);
	}
	clean = strndup(line.bytes, line.length);
	if (!clean)
		fail("out of memory");
	return clean;
}

void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say_arguments(format, arguments);
	va_end(arguments);
}

void fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say_arguments(format, arguments);
	va_end(arguments);
	exit(EXIT_TOOL);
}
