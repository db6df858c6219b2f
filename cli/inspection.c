/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/inspection.h"

#include <string.h>

#include "cli/table.h"

enum column { PROCESS, PROGRAM, LIBRARY, DETAILS, COLUMN_COUNT };

static const struct table_column columns[COLUMN_COUNT] = {
	[PROCESS] = {"PID", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER},
	[PROGRAM] = {"PROGRAM", SCOLS_FL_WRAP, SCOLS_JSON_STRING},
	[LIBRARY] = {"LIBRARY", 0, SCOLS_JSON_STRING},
	[DETAILS] = {"DETAILS", SCOLS_FL_WRAP, SCOLS_JSON_STRING},
};

void inspection_begin(struct inspection *inspection, bool json, bool colours, bool has_pids)
{
	struct table_column shown[COLUMN_COUNT];

	memcpy(shown, columns, sizeof shown);
	if (!has_pids)
		shown[PROCESS].flags |= SCOLS_FL_HIDDEN;
	*inspection = (struct inspection){.json = json, .has_pids = has_pids};
	inspection->table = table_new("programs", json, shown, COLUMN_COUNT);
	table_allow_colours(inspection->table, colours);
	judge_init(&inspection->judge);
}

void inspection_add(struct inspection *inspection, pid_t pid, const char *program,
                    const struct judgement *judgement)
{
	static const enum colour colours[] = {
		[REACH_YES] = COLOUR_GOOD, [REACH_NO] = COLOUR_BAD, [REACH_MAY] = COLOUR_WARN,
	};
	struct libscols_line *line = table_line(inspection->table);
	const char *reach = judge_reach_name(judgement->reach);

	if (pid)
		table_put(line, PROCESS, "%d", (int)pid);
	table_put(line, PROGRAM, "%s", program);
	if (reach) {
		table_put(line, LIBRARY, "%s", reach);
		table_colour(line, LIBRARY, colours[judgement->reach]);
	}
	table_put(line, DETAILS, "%s", judgement->words);
}

void inspection_end(struct inspection *inspection, const char *verdict)
{
	struct judgement last = {.reach = REACH_NONE};

	if (inspection->json) {
		snprintf(last.words, sizeof last.words, "%s", verdict);
		inspection_add(inspection, 0, "verdict", &last);
	}
	table_print(inspection->table);
	if (!inspection->json)
		table_print_verdict(verdict);
	judge_deinit(&inspection->judge);
}
