/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Facts as a table. */
#ifndef SHMEMU_CLI_FACTS_TABLE_H
#define SHMEMU_CLI_FACTS_TABLE_H

#include "cli/facts.h"
#include "cli/table.h"

/* Printed and freed by table_print. */
struct libscols_table *facts_table_new(bool json, bool colours);

void facts_table_add(struct libscols_table *table, const char *what, const struct fact *fact);

#endif
