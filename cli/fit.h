/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables that fit a screen. */
#ifndef SHMEMU_CLI_FIT_H
#define SHMEMU_CLI_FIT_H

#include "cli/table.h"

/* Has the table, whose lines are there and whose columns are these, take at most `width` columns of
 * a screen: some of its columns go, by their rank, and of what remains those with a `least` are
 * made narrower, the widest first. 0: as wide as it is. What has neither may stay wider. */
void fit_table(struct libscols_table *table, const struct table_column *columns, size_t count,
               size_t width);

/* How many bytes of a text take at most so many columns. */
size_t fit_text(const char *text, size_t columns);

/* Of the terminal that this descriptor is: columns and rows, by what it says, COLUMNS and LINES,
 * or as they were long ago. */
struct fit_size {
	size_t columns;
	size_t rows;
};
struct fit_size fit_terminal(int fd);

#endif
