/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/option.h"

#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/say.h"

enum { OPTIONS_MAX = 24, WIDTH = 80, INDENT = 6, GAP = 2 };

static size_t make_table(const struct subcommand *subcommand, struct option table[OPTIONS_MAX])
{
	size_t count = 0;

	for (const struct subcommand_option *option = subcommand->options; option->name; option++)
		table[count++] = (struct option){
			option->name, option->value ? required_argument : no_argument, NULL,
			option->letter,
		};
	table[count] = (struct option){NULL, 0, NULL, 0};
	return count;
}

/* Where a command follows, what is behind its name is not ours. Words of `without` are taken one
 * by one, in their order. */
static const char *order_of(const struct subcommand *subcommand)
{
	switch (subcommand->operands) {
	case COMPLETE_COMMAND: return "+:h";
	case COMPLETE_THING: return "-:h";
	default: return ":h";
	}
}

/* As df(1) has it. */
static bool has_own_h(const struct subcommand *subcommand)
{
	const struct subcommand_option *option = subcommand->options;

	while (option->name && option->letter != 'h')
		option++;
	return option->name;
}

static const char *letters_of(const struct subcommand *subcommand)
{
	return subcommand->short_options ? subcommand->short_options : "";
}

int option_next(const struct subcommand *subcommand, int argc, char **argv)
{
	const char *name = subcommand->name;
	struct option table[OPTIONS_MAX];
	char letters[OPTIONS_MAX];
	int letter;

	make_table(subcommand, table);
	snprintf(letters, sizeof letters, "%s%s", order_of(subcommand), letters_of(subcommand));
	opterr = 0;
	letter = getopt_long(argc, argv, letters, table, NULL);
	if (letter == OPTION_HELP || (letter == 'h' && !has_own_h(subcommand))) {
		option_help(subcommand);
		exit(EXIT_SUCCESS);
	}
	if (letter == ':')
		fail("%s: a value is missing after '%s'; try 'shmemu %s --help'", name,
		     argv[optind - 1], name);
	/* It is also said of an option that takes no value and has one. */
	if (letter == '?')
		fail("%s: there is no option '%s'; try 'shmemu %s --help'", name, argv[optind - 1],
		     name);
	return letter;
}

void option_end(const struct subcommand *subcommand, int argc, char **argv)
{
	const char *name = subcommand->name;

	if (optind < argc)
		fail("%s takes no '%s'; try 'shmemu %s --help'", name, argv[optind], name);
}

/* Prints the text from `column` on, in lines that fit. */
static void print_wrapped(const char *text, size_t column)
{
	size_t at = column;

	while (*text) {
		size_t length = strcspn(text, " \n");

		if (at > column && at + 1 + length >= WIDTH) {
			printf("\n%*s", (int)column, "");
			at = column;
		} else if (at > column) {
			putchar(' ');
			at++;
		}
		printf("%.*s", (int)length, text);
		at += length;
		text += length;
		/* A line of its own begins where the text says so. */
		if (*text == '\n') {
			printf("\n%*s", (int)column, "");
			at = column;
		}
		text += *text != '\0';
	}
	putchar('\n');
}

static size_t width_of(const struct subcommand_option *option)
{
	return strlen(option->name) + (option->value ? 1 + strlen(option->value) : 0);
}

/* In place of the blanks before it. */
static void print_letter(const struct subcommand *subcommand, int letter)
{
	if (letter < UCHAR_MAX && strchr(letters_of(subcommand), letter))
		printf("  -%c, ", letter);
	else
		printf("%*s", INDENT, "");
}

static void print_options(const struct subcommand *subcommand)
{
	const struct subcommand_option *options = subcommand->options;
	size_t widest = 0;

	for (const struct subcommand_option *option = options; option->name; option++)
		if (option->help && width_of(option) > widest)
			widest = width_of(option);
	for (const struct subcommand_option *option = options; option->name; option++) {
		if (!option->help)
			continue;
		print_letter(subcommand, option->letter);
		printf("--%s%s%s%*s", option->name, option->value ? "=" : "",
		       option->value ? option->value : "",
		       (int)(widest - width_of(option) + GAP), "");
		print_wrapped(option->help, INDENT + 2 + widest + GAP);
	}
}

void option_help(const struct subcommand *subcommand)
{
	for (int i = 0; subcommand->arguments[i]; i++)
		printf("%s shmemu %s %s\n", i ? "      " : "usage:", subcommand->name,
		       subcommand->arguments[i]);
	print_wrapped(subcommand->about, 0);
	putchar('\n');
	if (subcommand->list) {
		subcommand->list();
		putchar('\n');
	}
	print_options(subcommand);
	if (subcommand->after) {
		putchar('\n');
		print_wrapped(subcommand->after, 0);
	}
}
