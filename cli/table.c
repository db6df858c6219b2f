/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/table.h"

#include <stdarg.h>
#include <stdio.h>

#include "cli/say.h"

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

void table_print(struct libscols_table *table)
{
	if (scols_print_table(table) != 0 || fflush(stdout) != 0)
		fail("cannot write the table");
	scols_unref_table(table);
}
