/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmemu complete WORD...: what the last word of a command line may become, for the completion of
 * shells, which are a few lines each (see cli/completion). A candidate to a line, with a tab and
 * what it means; or ":folders", ":files", or ":command N": the N-th word begins a command. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cli/ask.h"
#include "cli/colour.h"
#include "cli/columns.h"
#include "cli/objects.h"
#include "cli/subcommand.h"
#include "cli/things.h"

/* The command line: words[0] is the subcommand. */
struct line {
	char **words;
	int count;
	const char *last; /* the one to complete */
};

static void offer(const struct line *line, const char *prefix, const char *word, const char *suffix,
                  const char *meaning)
{
	size_t length = strlen(prefix);

	if (strncmp(line->last, prefix, length) != 0 ||
	    strncmp(line->last + length, word, strlen(line->last + length)) != 0)
		return;
	printf("%s%s%s\t%s\n", prefix, word, suffix, meaning ? meaning : "");
}

struct names {
	const struct line *line;
	const char *prefix;
};

static void offer_name(void *context, const struct object *object)
{
	const struct names *names = context;
	const char *begun = names->line->last + strlen(names->prefix);
	/* ls shows a slash; it need not be written. */
	bool bare = begun[0] != '/' && object->name[0] == '/';

	if (object->kind == OBJECT_SEGMENT || object->kind == OBJECT_SEMAPHORE ||
	    object->kind == OBJECT_QUEUE)
		offer(names->line, names->prefix, object->name + bare, "",
		      object_kind_words(object->kind));
}

/* Of the daemon that is there, if one is. */
static void offer_names(const struct line *line, const char *prefix)
{
	struct names names = {line, prefix};
	struct text path;
	OWN_FD sock = ask_try_connect(NULL, &path);

	if (sock >= 0)
		objects_each(sock, 0, offer_name, &names);
}

static void offer_things(const struct line *line)
{
	for (size_t i = 0; i < thing_count; i++)
		if (!strchr(things[i].name, '=') || !strstr(things[i].name, "SIZE"))
			offer(line, "", things[i].name, "", things[i].summary);
	for (size_t i = 0; i < profile_count; i++)
		offer(line, "", profiles[i].name, "", profiles[i].summary);
	offer(line, "", "--", "", "the command comes next");
}

/* What is before the last comma has been written. */
static void offer_columns(const struct line *line, const char *prefix)
{
	const char *comma = strrchr(line->last, ',');
	size_t length = comma ? (size_t)(comma + 1 - line->last) : strlen(prefix);
	char *begun = strndup(line->last, length);
	const char *title, *help;

	for (size_t i = 0; begun && (title = columns_title(i, &help)); i++)
		offer(line, begun, title, "", help);
	free(begun);
}

static void offer_value(const struct line *line, const struct subcommand_option *option)
{
	char prefix[64];

	snprintf(prefix, sizeof prefix, "--%s=", option->name);
	if (option->complete == COMPLETE_FOLDER)
		puts(":folders");
	else if (option->complete == COMPLETE_FILE)
		puts(":files");
	else if (option->complete == COMPLETE_NAME)
		offer_names(line, prefix);
	else if (option->complete == COMPLETE_COLUMN)
		offer_columns(line, prefix);
	else if (option->complete == COMPLETE_WHEN)
		for (size_t i = 0; colour_whens[i]; i++)
			offer(line, prefix, colour_whens[i], "", "");
}

/* True if it is an option that is being written. */
static bool offer_options(const struct line *line, const struct subcommand *subcommand)
{
	const char *equals = strchr(line->last, '=');

	for (const struct subcommand_option *option = subcommand->options; option->name; option++) {
		size_t length = strlen(option->name);

		if (!option->help)
			continue;
		if (equals && option->value && (size_t)(equals - line->last) == length + 2 &&
		    strncmp(line->last + 2, option->name, length) == 0)
			offer_value(line, option);
		else if (!equals && line->last[0] == '-')
			offer(line, "--", option->name, option->value ? "=" : "", option->help);
	}
	return line->last[0] == '-';
}

/* Where the command begins, or 0: it does not yet. */
static int command_of(const struct line *line, const struct subcommand *subcommand)
{
	for (int i = 1; i < line->count; i++) {
		bool ends = strcmp(line->words[i], "--") == 0;

		if (ends && i + 1 < line->count)
			return i + 1;
		if (subcommand->operands == COMPLETE_COMMAND && line->words[i][0] != '-')
			return i;
	}
	return 0;
}

static void complete_of(const struct line *line, const struct subcommand *subcommand)
{
	bool has_command = subcommand->operands == COMPLETE_COMMAND ||
	                   subcommand->operands == COMPLETE_THING;
	int command = has_command ? command_of(line, subcommand) : 0;

	if (command) {
		printf(":command %d\n", command);
		return;
	}
	if (offer_options(line, subcommand))
		return;
	if (subcommand->operands == COMPLETE_THING)
		offer_things(line);
	else if (subcommand->operands == COMPLETE_NAME)
		offer_names(line, "");
}

static int complete_main(int argc, char **argv)
{
	struct line line = {argv + 1, argc - 1, argc > 1 ? argv[argc - 1] : ""};

	for (int i = 0; subcommands[i]; i++) {
		if (!subcommands[i]->summary)
			continue;
		if (argc <= 2)
			offer(&line, "", subcommands[i]->name, "", subcommands[i]->summary);
		else if (strcmp(argv[1], subcommands[i]->name) == 0)
			complete_of(&line, subcommands[i]);
	}
	if (argc <= 2 && line.last[0] == '-') {
		offer(&line, "--", "help", "", "show the subcommands");
		offer(&line, "--", "help-all", "", "show the help of each");
		offer(&line, "--", "version", "", "show the version");
	}
	return EXIT_SUCCESS;
}

/* Of no use to people: not in the help. */
const struct subcommand complete_subcommand = {.name = "complete", .run = complete_main};
