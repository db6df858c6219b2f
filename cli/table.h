/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables for people, and the same as JSON. Each ends the program with one line when there is no
 * memory. */
#ifndef SHMEMU_CLI_TABLE_H
#define SHMEMU_CLI_TABLE_H

#include <libsmartcols/libsmartcols.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cli/colour.h"

struct table_column {
	const char *title;
	int flags; /* SCOLS_FL_... */
	int json;  /* SCOLS_JSON_... */
	size_t least; /* for fit_table: how narrow it may be made; 0: not at all */
	int rank;     /* likewise: of two that may go the higher goes first; 0: it stays */
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

/* A text in lines of at most so many columns of a screen, each but the last with a newline behind
 * it. Words are kept whole; a longer one is cut, behind a slash where it has one. Owned by the
 * caller. */
char *table_wrap_words(const char *text, size_t room);

/* Prints it, and frees it. On a terminal, columns with SCOLS_FL_WRAP have lines of whole words. */
void table_print(struct libscols_table *table);
void table_print_to(struct libscols_table *table, FILE *stream);

/* A line beneath a table, in lines that fit on a terminal. */
void table_print_verdict(const char *verdict);

#endif
