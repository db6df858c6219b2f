/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/columns.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "cli/fit.h"
#include "cli/holders.h"
#include "cli/human.h"
#include "cli/listing.h"
#include "cli/say.h"

enum { TEXT_SIZE = 64 };

/* A cell under way: where it goes, and how. */
struct cell {
	struct libscols_line *line;
	size_t place;
	const struct listing *listing;
	const struct listed *listed;
	const struct columns_style *style;
};

static void put_name(const struct cell *cell)
{
	table_put(cell->line, cell->place, "%s", cell->listed->object.name);
}

static void put_kind(const struct cell *cell)
{
	table_put(cell->line, cell->place, "%s", object_kind_name(cell->listed->object.kind));
}

static void put_id(const struct cell *cell)
{
	if (cell->listed->id >= 0)
		table_put(cell->line, cell->place, "%" PRId64, cell->listed->id);
}

static void put_bytes(const struct cell *cell, uint64_t bytes)
{
	char text[HUMAN_SIZE];

	if (cell->style->json || cell->style->bytes)
		table_put(cell->line, cell->place, "%" PRIu64, bytes);
	else
		table_put(cell->line, cell->place, "%s", human_bytes(text, bytes));
}

static void put_size(const struct cell *cell)
{
	if (cell->listed->object.kind != OBJECT_SEM)
		put_bytes(cell, cell->listed->object.size);
}

static void put_resident(const struct cell *cell)
{
	if (cell->listed->object.resident != OBJECT_UNKNOWN)
		put_bytes(cell, cell->listed->object.resident);
}

/* What there is besides bytes: as numbers in JSON, with words for people. */
static void put_count(const struct cell *cell)
{
	const struct listed *listed = cell->listed;
	uint64_t count = listed->count;
	const char *plural = count == 1 ? "" : "s";

	if (!listed->is_ipc)
		return;
	if (cell->style->json)
		table_put(cell->line, cell->place, "%" PRIu64, count);
	else if (listed->object.kind == OBJECT_SHM)
		table_put(cell->line, cell->place, "%" PRIu64 " attached", count);
	else if (listed->object.kind == OBJECT_SEM)
		table_put(cell->line, cell->place, "%" PRIu64 " semaphore%s", count, plural);
	else if (listed->object.kind == OBJECT_MSG)
		table_put(cell->line, cell->place, "%" PRIu64 " message%s", count, plural);
	else
		table_put(cell->line, cell->place, "%" PRIu64 " of %" PRIu64 " messages", count,
		          listed->most);
}

static void put_mode(const struct cell *cell)
{
	table_put(cell->line, cell->place, "%04o", cell->listed->object.mode);
}

static void put_owner(const struct cell *cell)
{
	const struct passwd *user = getpwuid(cell->listed->object.uid);

	if (user)
		table_put(cell->line, cell->place, "%s", user->pw_name);
	else
		table_put(cell->line, cell->place, "%u", cell->listed->object.uid);
}

static void put_state(const struct cell *cell)
{
	table_put(cell->line, cell->place, "%s", object_state_name(cell->listed->object.state));
}

static void put_age(const struct cell *cell)
{
	int64_t birth = cell->listed->object.birth;
	int64_t age = cell->style->now > birth ? cell->style->now - birth : 0;
	char text[HUMAN_SIZE];

	if (birth && cell->style->json)
		table_put(cell->line, cell->place, "%" PRId64, age);
	else if (birth)
		table_put(cell->line, cell->place, "%s", human_age(text, age));
}

static void put_birth(const struct cell *cell)
{
	time_t birth = cell->listed->object.birth;
	char text[TEXT_SIZE];
	struct tm parts;

	if (birth && cell->style->json)
		table_put(cell->line, cell->place, "%" PRId64, (int64_t)birth);
	else if (birth && localtime_r(&birth, &parts) &&
	         strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S%z", &parts))
		table_put(cell->line, cell->place, "%s", text);
}

static void put_pids(const struct cell *cell)
{
	const struct listed *listed = cell->listed;
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);
	pid_t pid = 0;

	while (file && (pid = holders_next(cell->listing->holders, listed->device, listed->file,
	                                   pid)))
		fprintf(file, "%s%d", ftell(file) ? "," : "", (int)pid);
	if (!file || fclose(file) != 0)
		fail("cannot make a table: out of memory");
	table_put(cell->line, cell->place, "%s", text);
	free(text);
}

/* Of System V the daemon knows how many, but not always who. */
static void put_holders(const struct cell *cell)
{
	uint32_t count = cell->listed->processes;

	if (!cell->listed->is_ipc)
		put_pids(cell);
	else if (cell->style->json || !count || cell->listed->object.kind == OBJECT_QUEUE)
		return;
	else if (cell->listed->object.kind == OBJECT_SHM)
		table_put(cell->line, cell->place, "%" PRIu32 " process%s", count,
		          count == 1 ? "" : "es");
	else
		table_put(cell->line, cell->place, "%" PRIu32 " wait%s", count,
		          count == 1 ? "s" : "");
}

static void put_processes(const struct cell *cell)
{
	if (cell->listed->is_ipc)
		table_put(cell->line, cell->place, "%" PRIu32, cell->listed->processes);
}

static void put_maker(const struct cell *cell)
{
	table_put(cell->line, cell->place, "%" PRIu32, cell->listed->object.maker);
}

static void put_command(const struct cell *cell)
{
	table_put(cell->line, cell->place, "%s", cell->listed->object.command);
}

enum { IN_TABLE = 1, IN_JSON = 2 };

static const struct {
	struct table_column column;
	void (*put)(const struct cell *cell);
	int shown; /* if nothing is said */
	const char *help;
} all[COLUMN_END] = {
	[COLUMN_NAME] = {{"NAME", 0, SCOLS_JSON_STRING, 12, 0}, put_name, IN_TABLE | IN_JSON,
	                 "name, or System V key"},
	[COLUMN_KIND] = {{"KIND", 0, SCOLS_JSON_STRING, 0, 4}, put_kind, IN_TABLE | IN_JSON,
	                 "segment, semaphore, folder; System V: shm, sem, msg; mq"},
	[COLUMN_ID] = {{"ID", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, 0, 7}, put_id,
	               IN_TABLE | IN_JSON, "number by which System V knows it"},
	[COLUMN_SIZE] = {{"SIZE", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, 0, 0}, put_size,
	                 IN_TABLE | IN_JSON, "size; of queues, of what is in them"},
	[COLUMN_RESIDENT] = {{"RESIDENT", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, 0, 2}, put_resident,
	                     IN_TABLE | IN_JSON, "memory that it takes now"},
	[COLUMN_COUNT] = {{"COUNT", 0, SCOLS_JSON_NUMBER, 0, 9}, put_count, IN_TABLE | IN_JSON,
	                  "attachments, semaphores or messages"},
	[COLUMN_MODE] = {{"MODE", SCOLS_FL_RIGHT, SCOLS_JSON_STRING, 0, 6}, put_mode,
	                 IN_TABLE | IN_JSON, "permissions"},
	[COLUMN_OWNER] = {{"OWNER", 0, SCOLS_JSON_STRING, 6, 3}, put_owner, IN_TABLE | IN_JSON,
	                  "user whose it is"},
	[COLUMN_STATE] = {{"STATE", 0, SCOLS_JSON_STRING, 0, 0}, put_state, IN_TABLE | IN_JSON,
	                  "held, orphan, removed or free"},
	[COLUMN_AGE] = {{"AGE", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, 0, 5}, put_age, IN_TABLE,
	                "time since it was made"},
	[COLUMN_BIRTH] = {{"BIRTH", 0, SCOLS_JSON_NUMBER, 0, 0}, put_birth, IN_JSON,
	                  "when it was made; in JSON seconds since 1970"},
	[COLUMN_HOLDERS] = {{"HOLDERS", 0, SCOLS_JSON_STRING, 7, 1}, put_holders,
	                    IN_TABLE | IN_JSON, "processes that have it open or mapped"},
	[COLUMN_PROCESSES] = {{"PROCESSES", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, 0, 0},
	                      put_processes, IN_JSON, "System V: that have it attached, or wait"},
	[COLUMN_MAKER] = {{"MAKER", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, 0, 8}, put_maker,
	                  IN_TABLE | IN_JSON, "process that made it"},
	[COLUMN_COMMAND] = {{"COMMAND", 0, SCOLS_JSON_STRING, 8, 1}, put_command,
	                    IN_TABLE | IN_JSON, "its command"},
};

void columns_print(void)
{
	puts("Columns:");
	for (size_t i = 0; i < COLUMN_END; i++)
		printf("      %-10s %s\n", all[i].column.title, all[i].help);
}

const char *columns_title(size_t column, const char **ret_help)
{
	if (column >= COLUMN_END)
		return NULL;
	*ret_help = all[column].help;
	return all[column].column.title;
}

static enum column find(const char *name, size_t length)
{
	size_t column = 0;

	while (column < COLUMN_END && (strncasecmp(all[column].column.title, name, length) != 0 ||
	                               all[column].column.title[length]))
		column++;
	if (column == COLUMN_END)
		fail("there is no column '%.*s'; 'shmemu ls --help' names those that there are",
		     (int)length, name);
	return (enum column)column;
}

void columns_parse(const char *text, struct columns *ret_columns)
{
	struct columns columns = {.count = 0};

	for (;;) {
		size_t length = strcspn(text, ",");

		if (columns.count == COLUMN_END)
			fail("--output takes at most %d columns", COLUMN_END);
		columns.shown[columns.count++] = find(text, length);
		if (!text[length])
			break;
		text += length + 1;
	}
	*ret_columns = columns;
}

static struct columns shown_of(const struct columns_style *style)
{
	struct columns columns = style->columns;

	for (size_t i = 0; i < COLUMN_END && !style->columns.count; i++)
		if (all[i].shown & (style->json ? IN_JSON : IN_TABLE))
			columns.shown[columns.count++] = (enum column)i;
	return columns;
}

static void mark(const struct cell *cell, enum column column)
{
	enum object_state state = cell->listed->object.state;

	if (column != COLUMN_NAME && column != COLUMN_STATE)
		return;
	if (state == OBJECT_ORPHAN)
		table_colour(cell->line, cell->place, COLOUR_WARN);
	else if (state == OBJECT_REMOVED)
		table_colour(cell->line, cell->place, COLOUR_DIM);
}

struct libscols_table *columns_table(const struct listing *listing,
                                     const struct columns_style *style)
{
	struct columns columns = shown_of(style);
	size_t rows = style->rows && style->rows < listing->count ? style->rows : listing->count;
	struct table_column specs[COLUMN_END];
	struct libscols_table *table;

	for (size_t i = 0; i < columns.count; i++) {
		specs[i] = all[columns.shown[i]].column;
		/* Who has asked for a column has it. */
		if (style->columns.count)
			specs[i].rank = 0;
	}
	table = table_new("segments", style->json, specs, columns.count);
	table_allow_colours(table, style->colours && !style->raw);
	scols_table_enable_raw(table, style->raw && !style->json);
	scols_table_enable_noheadings(table, style->headless);
	for (size_t i = 0; i < rows; i++) {
		struct cell cell = {.line = table_line(table), .listing = listing,
		                    .listed = &listing->all[i], .style = style};

		for (; cell.place < columns.count; cell.place++) {
			all[columns.shown[cell.place]].put(&cell);
			mark(&cell, columns.shown[cell.place]);
		}
	}
	fit_table(table, specs, columns.count, style->width);
	return table;
}
