/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/facts_table.h"

enum column { WHAT, HOST, LIBRARY, DETAILS, COLUMN_COUNT };

static const struct table_column columns[COLUMN_COUNT] = {
	[WHAT] = {"WHAT", 0, SCOLS_JSON_STRING},
	[HOST] = {"HOST", 0, SCOLS_JSON_STRING},
	[LIBRARY] = {"SHMEMU", 0, SCOLS_JSON_STRING},
	[DETAILS] = {"DETAILS", SCOLS_FL_WRAP, SCOLS_JSON_STRING},
};

struct libscols_table *facts_table_new(bool json, bool colours)
{
	struct libscols_table *table = table_new("facts", json, columns, COLUMN_COUNT);

	table_allow_colours(table, colours);
	return table;
}

void facts_table_add(struct libscols_table *table, const char *what, const struct fact *fact)
{
	struct libscols_line *line = table_line(table);
	bool made_up_for = fact->library == 0 || fact->library == FACT_TOLD;

	table_put(line, WHAT, "%s", what);
	if (fact->host != FACT_TOLD) {
		table_put(line, HOST, "%s", fact_name(fact->host));
		table_colour(line, HOST, fact->host == 0 ? COLOUR_GOOD :
		             made_up_for ? COLOUR_WARN : COLOUR_BAD);
	}
	if (fact->library != FACT_TOLD) {
		table_put(line, LIBRARY, "%s", fact_name(fact->library));
		table_colour(line, LIBRARY, fact->library == 0 ? COLOUR_GOOD : COLOUR_BAD);
	}
	table_put(line, DETAILS, "%s", fact->details);
}
