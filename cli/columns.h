/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A listing as a table, for people and for programs. */
#ifndef SHMEMU_CLI_COLUMNS_H
#define SHMEMU_CLI_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct libscols_table;
struct listing;

enum column {
	COLUMN_NAME, COLUMN_KIND, COLUMN_ID, COLUMN_SIZE, COLUMN_RESIDENT, COLUMN_COUNT,
	COLUMN_MODE, COLUMN_OWNER, COLUMN_STATE, COLUMN_AGE, COLUMN_BIRTH, COLUMN_HOLDERS,
	COLUMN_PROCESSES, COLUMN_MAKER, COLUMN_COMMAND, COLUMN_END,
};

struct columns {
	enum column shown[COLUMN_END];
	size_t count; /* 0: those that are shown if nothing is said */
};

/* What --output says: names between commas. Ends the program with one line when there is no such
 * column. */
void columns_parse(const char *text, struct columns *ret_columns);

/* Names and meanings, a line each, for --help. */
void columns_print(void);

/* For completion: the title and the meaning of a column, from 0 on; NULL: there are no more. */
const char *columns_title(size_t column, const char **ret_help);

struct columns_style {
	struct columns columns;
	bool json;
	bool raw;
	bool bytes;    /* sizes as they are */
	bool headless; /* without a line of titles */
	bool colours;
	size_t width;  /* of the screen; 0: there is none */
	size_t rows;   /* objects that are shown; 0: all */
	int64_t now;   /* seconds since the epoch: ages are as of then */
};

/* For table_print; owned by the caller up to that. */
struct libscols_table *columns_table(const struct listing *listing,
                                     const struct columns_style *style);

#endif
