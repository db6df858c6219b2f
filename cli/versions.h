/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which versions of shmemu's parts there are, and whether they fit. */
#ifndef SHMEMU_CLI_VERSIONS_H
#define SHMEMU_CLI_VERSIONS_H

struct libscols_table;
struct parts;

void versions_add(struct libscols_table *table, const struct parts *parts);

#endif
