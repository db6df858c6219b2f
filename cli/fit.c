/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libsmartcols cuts too, but each of its versions in another way, and it takes no column away: so
 * it is told that there is no screen, and given what fits. */
#include "cli/fit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cli/say.h"
#include "cli/shown.h"

enum { COLUMNS_MAX = 24, EMPTY_RANK = 100 };

struct fit {
	struct libscols_table *table;
	const struct table_column *columns;
	size_t count;
	size_t wanted[COLUMNS_MAX]; /* what all of a column's texts take */
	size_t widths[COLUMNS_MAX]; /* what they are to take */
	bool is_empty[COLUMNS_MAX];
	bool is_shown[COLUMNS_MAX];
};

/* As libsmartcols shows it, which escapes a backslash that could pass for one of its own. */
static size_t next_in_table(const char *text, size_t *ret_columns)
{
	size_t length = shown_next(text, strlen(text), ret_columns);

	if (text[0] == '\\' && text[1] == 'x')
		*ret_columns = SHOWN_ESCAPE;
	return length;
}

size_t fit_text(const char *text, size_t columns)
{
	const char *at = text;
	size_t width;

	while (*at) {
		size_t length = next_in_table(at, &width);

		if (width > columns)
			break;
		columns -= width;
		at += length;
	}
	return (size_t)(at - text);
}

static size_t width_of(const char *text)
{
	size_t sum = 0;
	size_t width;

	while (*text) {
		text += next_in_table(text, &width);
		sum += width;
	}
	return sum;
}

static const char *text_at(const struct fit *fit, size_t line, size_t column)
{
	struct libscols_line *at = scols_table_get_line(fit->table, line);
	struct libscols_cell *cell = at ? scols_line_get_cell(at, column) : NULL;
	const char *text = cell ? scols_cell_get_data(cell) : NULL;

	return text ? text : "";
}

static void measure(struct fit *fit, size_t column)
{
	size_t lines = scols_table_get_nlines(fit->table);

	fit->is_shown[column] =
		!scols_column_is_hidden(scols_table_get_column(fit->table, column));
	fit->is_empty[column] = true;
	fit->wanted[column] = strlen(fit->columns[column].title);
	for (size_t i = 0; i < lines; i++) {
		size_t width = width_of(text_at(fit, i, column));

		if (width)
			fit->is_empty[column] = false;
		if (width > fit->wanted[column])
			fit->wanted[column] = width;
	}
	fit->widths[column] = fit->wanted[column];
}

static size_t least_of(const struct fit *fit, size_t column)
{
	size_t least = fit->columns[column].least;

	return least && least < fit->wanted[column] ? least : fit->wanted[column];
}

/* With a blank between each two. */
static size_t total_of(const struct fit *fit, bool least)
{
	size_t total = 0;

	for (size_t i = 0; i < fit->count; i++)
		if (fit->is_shown[i])
			total += 1 + (least ? least_of(fit, i) : fit->widths[i]);
	return total ? total - 1 : 0;
}

/* Returns false when all that are left are to stay. */
static bool drop_one(struct fit *fit)
{
	size_t found = 0;
	int highest = 0;

	for (size_t i = 0; i < fit->count; i++) {
		int rank = fit->columns[i].rank;

		if (rank && fit->is_empty[i])
			rank += EMPTY_RANK;
		if (!fit->is_shown[i] || rank <= highest)
			continue;
		highest = rank;
		found = i;
	}
	if (highest)
		fit->is_shown[found] = false;
	return highest;
}

static bool narrow_one(struct fit *fit)
{
	size_t *widest = NULL;

	for (size_t i = 0; i < fit->count; i++)
		if (fit->is_shown[i] && fit->widths[i] > least_of(fit, i) &&
		    (!widest || fit->widths[i] >= *widest))
			widest = &fit->widths[i];
	if (widest)
		--*widest;
	return widest;
}

static void cut(const struct fit *fit, size_t column)
{
	for (size_t i = 0; i < scols_table_get_nlines(fit->table); i++) {
		const char *text = text_at(fit, i, column);
		size_t length = fit_text(text, fit->widths[column]);
		char *shorter = text[length] ? strndup(text, length) : NULL;

		if (text[length] && !shorter)
			fail("cannot make a table: out of memory");
		if (shorter)
			scols_line_refer_data(scols_table_get_line(fit->table, i), column, shorter);
	}
}

void fit_table(struct libscols_table *table, const struct table_column *columns, size_t count,
               size_t width)
{
	struct fit fit = {.table = table, .columns = columns, .count = count};

	scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
	if (!width)
		return;
	for (size_t i = 0; i < count; i++)
		measure(&fit, i);
	while (total_of(&fit, true) > width && drop_one(&fit))
		continue;
	while (total_of(&fit, false) > width && narrow_one(&fit))
		continue;
	for (size_t i = 0; i < count; i++) {
		if (!fit.is_shown[i])
			scols_column_set_flags(scols_table_get_column(table, i),
			                       columns[i].flags | SCOLS_FL_HIDDEN);
		else if (fit.widths[i] < fit.wanted[i])
			cut(&fit, i);
	}
}

static size_t number_of(const char *name, size_t otherwise)
{
	const char *text = getenv(name);
	long number = text ? strtol(text, NULL, 10) : 0;

	return number > 0 && number < 10000 ? (size_t)number : otherwise;
}

struct fit_size fit_terminal(int fd)
{
	struct winsize size = {.ws_col = 0};

	if (ioctl(fd, TIOCGWINSZ, &size) < 0)
		size = (struct winsize){.ws_col = 0};
	return (struct fit_size){
		.columns = size.ws_col ? size.ws_col : number_of("COLUMNS", 80),
		.rows = size.ws_row ? size.ws_row : number_of("LINES", 24),
	};
}
