/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "cli/table.h"
#include "cli/things.h"

enum { NAME, KIND, ERRNO, HOW, MOMENT, SUMMARY, PARTS, SOURCE };

/* The first columns of it are what people see. */
static const struct table_column columns[] = {
	[NAME] = {"name", 0, SCOLS_JSON_STRING},
	[KIND] = {"kind", SCOLS_FL_HIDDEN, SCOLS_JSON_STRING},
	[ERRNO] = {"errno", 0, SCOLS_JSON_STRING},
	[HOW] = {"how", 0, SCOLS_JSON_STRING},
	[MOMENT] = {"moment", 0, SCOLS_JSON_BOOLEAN},
	[SUMMARY] = {"summary", SCOLS_FL_WRAP, SCOLS_JSON_STRING},
	[PARTS] = {"parts", SCOLS_FL_HIDDEN, SCOLS_JSON_STRING},
	[SOURCE] = {"source", SCOLS_FL_HIDDEN, SCOLS_JSON_STRING},
};

static const char *how(enum deny_kind kind)
{
	switch (kind) {
	case DENY_ENTRY:
	case DENY_WRITE:
	case DENY_SPACE: return "mount";
	case DENY_SHIM: return "shim";
	case DENY_CALL: return "seccomp";
	default: return "user";
	}
}

static void list_things(bool json, struct libscols_table *table)
{
	for (size_t i = 0; i < thing_count; i++) {
		struct libscols_line *line = table_line(table);
		bool moment = thing_takes_moment(&things[i]);

		table_put(line, NAME, "%s", things[i].name);
		table_put(line, KIND, "thing");
		if (things[i].op.error)
			table_put(line, ERRNO, "%s", strerrorname_np(things[i].op.error));
		table_put(line, HOW, "%s", how(things[i].op.kind));
		if (json)
			table_put(line, MOMENT, "%d", moment);
		else
			table_put(line, MOMENT, "%s", moment ? "yes" : "no");
		table_put(line, SUMMARY, "%s", things[i].summary);
	}
}

/* The parts with a blank after each but the last. */
static void put_parts(struct libscols_line *line, const struct profile *profile)
{
	char text[1024] = "";

	for (size_t i = 0; i < PARTS_MAX && profile->parts[i]; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "",
		         profile->parts[i]);
	table_put(line, PARTS, "%s", text);
}

static void list_profiles_json(struct libscols_table *table)
{
	for (size_t i = 0; i < profile_count; i++) {
		struct libscols_line *line = table_line(table);

		table_put(line, NAME, "%s", profiles[i].name);
		table_put(line, KIND, "profile");
		table_put(line, SUMMARY, "%s", profiles[i].summary);
		table_put(line, SOURCE, "%s", profiles[i].source);
		put_parts(line, &profiles[i]);
	}
}

static void list_profiles(void)
{
	for (size_t i = 0; i < profile_count; i++) {
		printf("\n%s: %s\n  is   ", profiles[i].name, profiles[i].summary);
		for (size_t j = 0; j < PARTS_MAX && profiles[i].parts[j]; j++)
			printf(" %s", profiles[i].parts[j]);
		printf("\n  from  %s\n", profiles[i].source);
	}
}

void things_list(bool json)
{
	struct libscols_table *table;
	struct table_column shown[sizeof columns / sizeof columns[0]];

	memcpy(shown, columns, sizeof shown);
	for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
		if (json)
			shown[i].flags = 0;
	table = table_new("things", json, shown, sizeof columns / sizeof columns[0]);
	list_things(json, table);
	if (json)
		list_profiles_json(table);
	table_print(table);
	if (json)
		return;
	puts("\n"
	     "mount: by a private mount. seccomp: by the kernel, whoever calls. shim: by a\n"
	     "library beneath the program, so not from static programs, nor from the loader and\n"
	     "libc themselves; with a moment, seccomp's are the shim's too. Every errno of\n"
	     "seccomp and shim can be chosen; seccomp's may be SIGSYS, a signal.");
	list_profiles();
}
