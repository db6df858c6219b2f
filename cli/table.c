/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/table.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/say.h"
#include "cli/shown.h"

/* A column that is narrower than this has no lines that one could read. */
enum { ROOM_MIN = 16, WIDTH_DEFAULT = 80, COLUMNS_MAX = 64 };

struct libscols_table *table_new(const char *name, bool json, const struct table_column *columns,
                                 size_t count)
{
	struct libscols_table *table;

	scols_init_debug(0);
	table = scols_new_table();
	if (!table)
		fail("cannot make a table: out of memory");
	scols_table_set_name(table, name);
	scols_table_enable_json(table, json);
	for (size_t i = 0; i < count; i++) {
		struct libscols_column *column =
			scols_table_new_column(table, columns[i].title, 0, columns[i].flags);

		if (!column)
			fail("cannot make a table: out of memory");
		scols_column_set_json_type(column, columns[i].json);
	}
	return table;
}

struct libscols_line *table_line(struct libscols_table *table)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);

	if (!line)
		fail("cannot make a table: out of memory");
	return line;
}

void table_put(struct libscols_line *line, size_t column, const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		fail("cannot make a table: out of memory");
	va_end(arguments);
	scols_line_refer_data(line, column, text);
}

void table_colour(struct libscols_line *line, size_t column, enum colour colour)
{
	struct libscols_cell *cell = scols_line_get_cell(line, column);

	if (!cell || scols_cell_set_color(cell, colour_sequence(colour)) != 0)
		fail("cannot make a table: out of memory");
}

void table_allow_colours(struct libscols_table *table, bool allowed)
{
	scols_table_enable_colors(table, allowed && !scols_table_is_json(table));
}

/* How many columns of a screen the first bytes of a text take. */
static size_t width_of(const char *text, size_t length)
{
	size_t sum = 0;
	size_t width;

	while (length) {
		size_t taken = shown_next(text, length, &width);

		sum += width;
		text += taken;
		length -= taken;
	}
	return sum;
}

/* Of its widest line. */
static size_t width_of_lines(const char *text)
{
	size_t widest = 0;

	for (size_t length; *text; text += length + (text[length] == '\n')) {
		size_t width = width_of(text, length = strcspn(text, "\n"));

		widest = width > widest ? width : widest;
	}
	return widest;
}

/* What a column takes, with the space behind it. */
static size_t width_of_column(struct libscols_table *table, struct libscols_column *column,
                              size_t number)
{
	struct libscols_cell *title = scols_column_get_header(column);
	size_t widest = strlen(scols_cell_get_data(title));

	if (scols_column_is_hidden(column))
		return 0;
	for (size_t i = 0; i < scols_table_get_nlines(table); i++) {
		struct libscols_cell *cell =
			scols_line_get_cell(scols_table_get_line(table, i), number);
		const char *text = cell ? scols_cell_get_data(cell) : NULL;
		size_t width = text ? width_of_lines(text) : 0;

		widest = width > widest ? width : widest;
	}
	return widest + 1;
}

/* How many bytes of a word fit: all, or up to a slash, or what there is room for. */
static size_t fit(const char *word, size_t length, size_t room)
{
	size_t whole = length;

	if (width_of(word, length) <= room)
		return length;
	while (length > 1 && (width_of(word, length) > room ||
	                      ((unsigned char)word[length] & 0xc0) == 0x80))
		length--;
	for (whole = length; whole > 1 && word[whole - 1] != '/';)
		whole--;
	return whole > 1 ? whole : length;
}

char *table_wrap_words(const char *text, size_t room)
{
	/* At worst each byte has a line. */
	char *wrapped = malloc(2 * strlen(text) + 1);
	char *to = wrapped;
	size_t at = 0;

	if (!wrapped)
		fail("cannot make a table: out of memory");
	while (*text) {
		size_t length = strcspn(text, " ");
		size_t taken = fit(text, length, room);
		size_t width = width_of(text, taken);

		if (at && at + 1 + width > room) {
			*to++ = '\n';
			at = 0;
		} else if (at) {
			*to++ = ' ';
			at++;
		}
		to = mempcpy(to, text, taken);
		at = taken < length ? room : at + width;
		text += taken + (taken == length && text[taken] == ' ');
	}
	*to = '\0';
	return wrapped;
}

/* libsmartcols's own, scols_wrapnl_chunksize, takes a backslash for one that it will escape. */
static size_t chunk_size(const struct libscols_column *column, const char *data, void *context)
{
	return width_of_lines(data);
}

/* It then has lines of its own, and nothing else that libsmartcols would have to make clean. */
static void clean_column(struct libscols_table *table, size_t number)
{
	struct libscols_column *column = scols_table_get_column(table, number);

	scols_column_set_safechars(column, "\n\\");
	scols_column_set_wrapfunc(column, chunk_size, scols_wrapnl_nextchunk, NULL);
	for (size_t i = 0; i < scols_table_get_nlines(table); i++) {
		struct libscols_line *line = scols_table_get_line(table, i);
		const char *text = scols_cell_get_data(scols_line_get_cell(line, number));

		if (text)
			scols_line_refer_data(line, number, say_clean(text));
	}
}

static void wrap_column(struct libscols_table *table, size_t number, size_t room)
{
	for (size_t i = 0; i < scols_table_get_nlines(table); i++) {
		struct libscols_line *line = scols_table_get_line(table, i);
		const char *text = scols_cell_get_data(scols_line_get_cell(line, number));

		if (text)
			scols_line_refer_data(line, number, table_wrap_words(text, room));
	}
}

/* libsmartcols cuts words in two: where a screen has an end, lines are made of whole ones. The last
 * column has what others leave, and those that may be wrapped at most two fifths of it. */
static void wrap(struct libscols_table *table)
{
	size_t last = scols_table_get_ncols(table) - 1;
	size_t width = scols_table_get_termwidth(table);
	size_t widths[COLUMNS_MAX];
	size_t taken = 0;

	for (size_t i = 0; i < last && last < COLUMNS_MAX; i++) {
		struct libscols_column *column = scols_table_get_column(table, i);

		if (scols_column_is_wrap(column))
			clean_column(table, i);
		widths[i] = width_of_column(table, column, i);
		if (!scols_column_is_wrap(column))
			taken += widths[i];
	}
	for (size_t i = 0; i < last && last < COLUMNS_MAX; i++) {
		size_t most = (width > taken ? width - taken : 0) * 2 / 5;

		if (!scols_column_is_wrap(scols_table_get_column(table, i)))
			continue;
		if (widths[i] > most && most >= ROOM_MIN) {
			wrap_column(table, i, most - 1);
			widths[i] = width_of_column(table, scols_table_get_column(table, i), i);
		}
		taken += widths[i] < most ? widths[i] : most;
	}
	if (!scols_column_is_wrap(scols_table_get_column(table, last)) || taken + ROOM_MIN > width)
		return;
	clean_column(table, last);
	wrap_column(table, last, width - taken);
}

void table_print_to(struct libscols_table *table, FILE *stream)
{
	scols_table_set_stream(table, stream);
	if (isatty(fileno(stream)) && !scols_table_is_json(table))
		wrap(table);
	if (scols_print_table(table) != 0 || fflush(stream) != 0)
		fail("cannot write the table");
	scols_unref_table(table);
}

void table_print(struct libscols_table *table)
{
	table_print_to(table, stdout);
}

/* As wide as the terminal is, if it is one. */
void table_print_verdict(const char *verdict)
{
	struct winsize size = {.ws_col = 0};
	size_t width = SIZE_MAX;
	char *clean = say_clean(verdict);
	char *text, *lines;

	if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		width = size.ws_col >= ROOM_MIN ? size.ws_col : WIDTH_DEFAULT;
	if (asprintf(&text, "verdict: %s", clean) < 0)
		fail("cannot print the verdict: out of memory");
	lines = table_wrap_words(text, width);
	if (printf("\n%s\n", lines) < 0 || fflush(stdout) != 0)
		fail("cannot write the verdict");
	free(lines);
	free(text);
	free(clean);
}
