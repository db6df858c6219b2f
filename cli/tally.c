/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/tally.h"

#include <inttypes.h>
#include <stdlib.h>

#include "cli/table.h"

const char *const tally_roads[TRACED_ROADS] = {
	[TRACED_KERNEL] = "kernel",
	[TRACED_LIBRARY] = "library",
	[TRACED_KNOWN] = "known",
	[TRACED_MEMORY] = "memory",
	[TRACED_MOUNT] = "mount",
	[TRACED_EMULATED] = "emulated",
	[TRACED_DAEMON] = "daemon",
};

enum column { PERCENT, SECONDS, USECS, CALLS, ERRORS, CALL, ROAD, COLUMN_COUNT };

static const struct table_column columns[COLUMN_COUNT] = {
	[PERCENT] = {"%TIME", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER},
	[SECONDS] = {"SECONDS", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER},
	[USECS] = {"USECS/CALL", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER},
	[CALLS] = {"CALLS", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER},
	[ERRORS] = {"ERRORS", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER},
	[CALL] = {"CALL", 0, SCOLS_JSON_STRING},
	[ROAD] = {"ROAD", 0, SCOLS_JSON_STRING},
};

/* Names that programs can take. */
static const char *const json_titles[COLUMN_COUNT] = {
	[PERCENT] = "percent", [USECS] = "usecs",
};

struct row {
	struct tally_count count;
	const char *call;
	const char *road;
};

void tally_add(struct tally *tally, const struct traced_record *record)
{
	struct tally_count *count = &tally->counts[record->call][record->road];

	count->calls++;
	count->errors += record->error != 0;
	count->took += record->took > 0 ? (uint64_t)record->took : 0;
}

static struct libscols_table *make_table(bool json)
{
	struct table_column shown[COLUMN_COUNT];

	for (int i = 0; i < COLUMN_COUNT; i++) {
		shown[i] = columns[i];
		if (json && json_titles[i])
			shown[i].title = json_titles[i];
	}
	return table_new("calls", json, shown, COLUMN_COUNT);
}

static int compare(const void *a, const void *b)
{
	const struct row *one = a, *other = b;

	if (one->count.took != other->count.took)
		return one->count.took < other->count.took ? 1 : -1;
	return one < other ? -1 : 1;
}

static void put_row(struct libscols_table *table, const struct row *row, uint64_t whole, bool json)
{
	struct libscols_line *line = table_line(table);
	const struct tally_count *count = &row->count;

	table_put(line, PERCENT, "%.2f", whole ? 100.0 * (double)count->took / (double)whole : 0);
	table_put(line, SECONDS, "%" PRIu64 ".%09" PRIu64, count->took / 1000000000,
	          count->took % 1000000000);
	if (count->calls)
		table_put(line, USECS, "%.1f", (double)count->took / 1000 / (double)count->calls);
	table_put(line, CALLS, "%" PRIu64, count->calls);
	if (count->errors || json)
		table_put(line, ERRORS, "%" PRIu64, count->errors);
	table_put(line, CALL, "%s", row->call);
	if (row->road)
		table_put(line, ROAD, "%s", row->road);
}

static size_t collect(const struct tally *tally, struct row *rows, struct tally_count *ret_total)
{
	size_t row_count = 0;

	for (int call = 0; call < TRACED_CALLS; call++) {
		for (int road = 0; road < TRACED_ROADS; road++) {
			const struct tally_count *count = &tally->counts[call][road];

			if (count->calls == 0)
				continue;
			rows[row_count++] = (struct row){*count, traced_calls[call].name,
			                                 tally_roads[road]};
			ret_total->calls += count->calls;
			ret_total->errors += count->errors;
			ret_total->took += count->took;
		}
	}
	return row_count;
}

void tally_print(const struct tally *tally, bool json, FILE *stream)
{
	static struct row rows[TRACED_CALLS * TRACED_ROADS];
	struct row total = {.call = "total"};
	size_t row_count = collect(tally, rows, &total.count);
	struct libscols_table *table = make_table(json);

	qsort(rows, row_count, sizeof *rows, compare);
	for (size_t i = 0; i < row_count; i++)
		put_row(table, &rows[i], total.count.took, json);
	/* Programs add for themselves. */
	if (!json)
		put_row(table, &total, total.count.took, json);
	table_print_to(table, stream);
}
