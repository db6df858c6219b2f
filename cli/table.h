/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables for people, and the same as JSON. Each ends the program with one line when there is no
 * memory. */
#ifndef SHMEMU_CLI_TABLE_H
#define SHMEMU_CLI_TABLE_H

#include <libsmartcols/libsmartcols.h>
#include <stdbool.h>
#include <stddef.h>

#include "cli/colour.h"

struct table_column {
	const char *title;
	int flags; /* SCOLS_FL_... */
	int json;  /* SCOLS_JSON_... */
};

/* `name` is the array's in JSON. Owned by the caller, until table_print. */
struct libscols_table *table_new(const char *name, bool json, const struct table_column *columns,
                                 size_t count);

/* One more line, the table's. A cell that nothing is put into is empty, and null in JSON. */
struct libscols_line *table_line(struct libscols_table *table);

void table_put(struct libscols_line *line, size_t column, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Of a cell that has something in it, where the table has colours (table_allow_colours). */
void table_colour(struct libscols_line *line, size_t column, enum colour colour);

/* JSON has none. */
void table_allow_colours(struct libscols_table *table, bool allowed);

/* Prints it, and frees it. */
void table_print(struct libscols_table *table);

#endif
