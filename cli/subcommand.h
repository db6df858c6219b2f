/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The subcommands, each described once: its help, the completion of shells and the check of the
 * manual page are made of this. And the exit statuses that all of them share. */
#ifndef SHMEMU_CLI_SUBCOMMAND_H
#define SHMEMU_CLI_SUBCOMMAND_H

/* As env(1) and its kin have them: anything else is COMMAND's own. */
enum { EXIT_TOOL = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

/* What can stand for a value or an operand: what a shell completes it to. */
enum complete {
	COMPLETE_NOTHING,
	COMPLETE_FOLDER,
	COMPLETE_FILE,
	COMPLETE_NAME,    /* of a segment, semaphore or queue */
	COMPLETE_THING,   /* a word of `shmemu without`, up to "--"; then a command */
	COMPLETE_COMMAND, /* a command with its arguments */
	COMPLETE_WHEN,    /* auto, always or never */
	COMPLETE_COLUMN,  /* columns of `shmemu ls`, with commas between them */
};

enum { OPTION_HELP = 1 << 16 }; /* no letter of anything else */

struct subcommand_option {
	const char *name;
	int letter;        /* what option_next says; one that is 'h' has -h, else that is help */
	const char *value; /* as help names it; NULL: takes none */
	const char *help;  /* NULL: of our own use, and shown nowhere */
	enum complete complete;
};

#define OPTION_DIR(help) {"dir", 'd', "DIR", help, COMPLETE_FOLDER}
#define OPTION_JSON(help) {"json", 'j', NULL, help, COMPLETE_NOTHING}
#define OPTION_RAW \
	{"raw", 'r', NULL, "one blank between columns, and those in them as \\x20", \
	 COMPLETE_NOTHING}
#define OPTION_BYTES {"bytes", 'b', NULL, "sizes in bytes", COMPLETE_NOTHING}
#define OPTION_NOHEADINGS \
	{"noheadings", 'n', NULL, "without the titles of columns", COMPLETE_NOTHING}
/* Its value is for colour_is_wanted. */
#define OPTION_COLOR \
	{"color", 'C', "WHEN", "have colours: always, never, or auto: on a terminal, unless " \
	 "NO_COLOR is set (the default)", COMPLETE_WHEN}
#define OPTION_END {"help", OPTION_HELP, NULL, "show this and exit", COMPLETE_NOTHING}, {NULL}

struct subcommand {
	const char *name;
	const char *arguments[4]; /* a usage line each, up to NULL */
	const char *summary;      /* a line of `shmemu --help`; NULL: of our own use */
	const char *about;        /* a paragraph */
	const char *after;        /* the same, behind the options; or NULL */
	void (*list)(void);       /* prints what comes between about and options; or NULL */
	const char *short_options; /* those letters that have one in getopt's form; or NULL */
	const struct subcommand_option *options; /* up to one without a name */
	enum complete operands;
	int (*run)(int argc, char **argv); /* its name is argv[0]; returns the exit status */
};

extern const struct subcommand run_subcommand;
extern const struct subcommand without_subcommand;
extern const struct subcommand ls_subcommand;
extern const struct subcommand df_subcommand;
extern const struct subcommand top_subcommand;
extern const struct subcommand rm_subcommand;
extern const struct subcommand dump_subcommand;
extern const struct subcommand load_subcommand;
extern const struct subcommand limit_subcommand;
extern const struct subcommand doctor_subcommand;
extern const struct subcommand upgrade_subcommand;
extern const struct subcommand trace_subcommand;
extern const struct subcommand complete_subcommand;

/* Up to NULL. Those of our own use come last. */
extern const struct subcommand *const subcommands[];

#endif
