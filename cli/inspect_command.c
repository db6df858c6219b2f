/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A command, from its name to the binary that runs: a script is its interpreter's, env(1) and its
 * kin hand on to another. What a shell's script names may be started by it: that is a guess, since
 * nobody else than the shell knows which of its words are commands. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/inspect.h"
#include "cli/inspection.h"
#include "cli/path.h"
#include "cli/say.h"
#include "cli/subcommand.h"
#include "cli/uses.h"

/* The kernel's, and what is read of a script. */
enum { SCRIPTS_MAX = 5, LINE_SIZE = 256, TEXT_MAX = 1 << 20, WORDS_MAX = 4096, LISTED_MAX = 32 };

struct command {
	struct inspection inspection;
	char path[PATH_MAX]; /* of what is looked at now */
	char next[PATH_MAX]; /* what that hands on to; "": nothing */
	char *text;          /* owned: of the script for a shell, if it is one */
	enum reach reach;
	char why[JUDGE_WORDS_SIZE];
	char *words[WORDS_MAX]; /* owned: those that were looked up */
	size_t word_count;
	char listed[512]; /* what may be started and is out of reach */
	size_t listed_count;
};

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(word, *list) == 0)
			return true;
	return false;
}

static bool is_shell(const char *path)
{
	static const char *const shells[] = {"sh", "bash", "dash", "ksh", "mksh", "zsh", "ash",
	                                     "busybox", NULL};

	return is_one_of(basename(path), shells);
}

/* Programs whose arguments name another. */
static bool is_starter(const char *path)
{
	static const char *const starters[] = {
		"env", "nice", "nohup", "setsid", "stdbuf", "timeout", "time", "xargs", "ionice",
		"chrt", "taskset", "setpriv", "unshare", "chroot", NULL,
	};

	return is_one_of(basename(path), starters);
}

static void add(struct command *command, const char *program, enum reach reach, const char *words)
{
	struct judgement judgement = {.reach = reach};

	snprintf(judgement.words, sizeof judgement.words, "%s", words);
	inspection_add(&command->inspection, 0, program, &judgement);
	if (reach != REACH_NONE) {
		command->reach = reach;
		snprintf(command->why, sizeof command->why, "%s", words);
	}
}

static void add_binary(struct command *command, const struct binary *binary)
{
	struct judgement judgement = judge_program(&command->inspection.judge, command->path,
	                                           binary);
	size_t length = strlen(judgement.words);

	if (judgement.reach == REACH_YES && binary->interpreter)
		uses_describe(command->path, binary, judgement.words + length,
		              sizeof judgement.words - length);
	add(command, command->path, judgement.reach, judgement.words);
	command->next[0] = '\0';
}

/* Of "env [-S] [NAME=VALUE]... PROGRAM ..." the program. */
static bool find_in_env(char *arguments, char *name, size_t size)
{
	char *state = NULL;

	for (char *word = strtok_r(arguments, " \t", &state); word;
	     word = strtok_r(NULL, " \t", &state)) {
		if (word[0] == '-' || strchr(word, '='))
			continue;
		snprintf(name, size, "%s", word);
		return true;
	}
	return false;
}

/* "#!INTERPRETER [ARGUMENT]". */
static void add_script(struct command *command, char *line)
{
	char *interpreter = line + strspn(line, " \t");
	char *argument;
	char words[2 * LINE_SIZE];
	char name[LINE_SIZE];

	interpreter[strcspn(interpreter, "\n")] = '\0';
	argument = interpreter + strcspn(interpreter, " \t");
	if (*argument)
		*argument++ = '\0';
	snprintf(words, sizeof words, "a script of %s%s%s", interpreter, *argument ? " " : "",
	         argument);
	add(command, command->path, REACH_NONE, words);
	snprintf(command->next, sizeof command->next, "%s", interpreter);
	if (strcmp(basename(interpreter), "env") != 0 || !find_in_env(argument, name, sizeof name))
		return;
	if (path_find(name, command->next) < 0) {
		snprintf(words, sizeof words, "%s starts it, and finds none", interpreter);
		add(command, name, REACH_NO, words);
		command->next[0] = '\0';
	}
}

static void keep_text(struct command *command, int file)
{
	ssize_t size;

	free(command->text);
	command->text = malloc(TEXT_MAX + 1);
	size = command->text ? pread(file, command->text, TEXT_MAX, 0) : -1;
	if (command->text)
		command->text[size > 0 ? size : 0] = '\0';
}

static void look_at(struct command *command)
{
	OWN_FD file = open(command->path, O_RDONLY | O_CLOEXEC);
	char line[LINE_SIZE] = "";
	struct binary binary;

	command->next[0] = '\0';
	if (file < 0) {
		add(command, command->path, REACH_MAY, "it can be executed, but not read, so "
		    "nobody can tell");
		return;
	}
	if (binary_read(file, &binary) == 0) {
		add_binary(command, &binary);
		binary_deinit(&binary);
		return;
	}
	keep_text(command, file);
	if (pread(file, line, sizeof line - 1, 0) > 2 && line[0] == '#' && line[1] == '!') {
		add_script(command, line + 2);
		return;
	}
	add(command, command->path, REACH_NONE, "no binary, and no #! in it: a shell reads it");
	snprintf(command->next, sizeof command->next, "/bin/sh");
}

/* If it is a program that the library does not reach, it is listed. */
static void look_up(struct command *command, const char *word, const char *who)
{
	struct judgement judgement, told = {.reach = REACH_NO};
	char path[PATH_MAX];
	OWN_FD file = -1;
	struct binary binary;
	size_t length = strlen(command->listed);

	if (path_find(word, path) < 0)
		return;
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0 || binary_read(file, &binary) < 0)
		return;
	judgement = judge_program(&command->inspection.judge, path, &binary);
	binary_deinit(&binary);
	if (judgement.reach != REACH_NO || command->listed_count++ >= LISTED_MAX)
		return;
	snprintf(told.words, sizeof told.words, "%.256s may start it: %.700s", who,
	         judgement.words);
	inspection_add(&command->inspection, 0, path, &told);
	snprintf(command->listed + length, sizeof command->listed - length, "%s%s",
	         length ? ", " : "", path);
}

static bool is_of_word(char byte)
{
	return isalnum((unsigned char)byte) || (byte && strchr("_-./+@", byte));
}

static bool is_new(struct command *command, const char *word, size_t length)
{
	if (length == 0 || length >= PATH_MAX || command->word_count == WORDS_MAX)
		return false;
	for (size_t i = 0; i < command->word_count; i++)
		if (strncmp(command->words[i], word, length) == 0 && !command->words[i][length])
			return false;
	command->words[command->word_count++] = strndup(word, length);
	return true;
}

/* Comments are left out. */
static void look_through(struct command *command, const char *text, const char *who)
{
	bool is_begun = true;

	while (*text) {
		size_t length = 0;

		if (*text == '#' && is_begun) {
			text += strcspn(text, "\n");
			continue;
		}
		while (is_of_word(text[length]))
			length++;
		if (is_new(command, text, length))
			look_up(command, command->words[command->word_count - 1], who);
		is_begun = !length && isspace((unsigned char)*text);
		text += length ? length : 1;
	}
}

/* What a shell is given: words of its language, or a file of them. */
static void look_into(struct command *command, const char *argument, const char *who)
{
	OWN_FD file = open(argument, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct binary binary;

	if (file < 0) {
		look_through(command, argument, who);
	} else if (binary_read(file, &binary) == 0) {
		binary_deinit(&binary);
		look_up(command, argument, who);
	} else {
		keep_text(command, file);
		look_through(command, command->text ? command->text : "", argument);
	}
}

/* From the command's name to what runs in the end. */
static void follow(struct command *command)
{
	for (int i = 0; i <= SCRIPTS_MAX; i++) {
		int result;

		look_at(command);
		if (!command->next[0])
			return;
		result = path_find(command->next, command->path);
		if (result < 0) {
			add(command, command->path, REACH_NO, strerror(-result));
			return;
		}
	}
	add(command, command->path, REACH_NO, "scripts of scripts, more than the kernel follows");
}

static void conclude(struct command *command, const char *name)
{
	bool is_out = command->reach == REACH_NO;
	char text[2048];
	int length;

	if (command->reach == REACH_YES)
		length = snprintf(text, sizeof text, "the library reaches %.256s", name);
	else
		length = snprintf(text, sizeof text, "the library %s %.256s: %s",
		                  is_out ? "does not reach" : "may or may not reach", name,
		                  command->why);
	if (command->listed_count)
		snprintf(text + length, sizeof text - (size_t)length,
		         "; it may start what is out of reach: %s", command->listed);
	inspection_end(&command->inspection, text);
}

int inspect_command(char **argv, bool json, bool colours)
{
	struct command *command = calloc(1, sizeof *command);
	char first[PATH_MAX];
	int result = path_find(argv[0], first);
	bool is_fit;

	if (!command)
		fail("cannot look at %s: %s", argv[0], strerror(ENOMEM));
	if (result < 0) {
		say("cannot run %s: %s", argv[0], strerror(-result));
		free(command);
		return result == -ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
	}
	memcpy(command->path, first, strlen(first) + 1);
	inspection_begin(&command->inspection, json, colours, false);
	follow(command);
	if (command->text && is_shell(command->path))
		look_through(command, command->text, first);
	for (int i = 1; argv[i] && is_starter(first); i++)
		look_through(command, argv[i], first);
	for (int i = 1; argv[i] && is_shell(first); i++)
		look_into(command, argv[i], first);
	conclude(command, argv[0]);
	is_fit = command->reach == REACH_YES;
	for (size_t i = 0; i < command->word_count; i++)
		free(command->words[i]);
	free(command->text);
	free(command);
	return is_fit ? INSPECTION_FIT : INSPECTION_UNFIT;
}
