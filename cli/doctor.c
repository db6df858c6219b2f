/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmemu doctor: what this host has, what a program with the library has here, and by which roads.
 * The second is found out by one: this tool again, by the word --probe. And what a command, or a
 * process, is to the library: inspect.h. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/calls.h"
#include "cli/colour.h"
#include "cli/doctor_daemon.h"
#include "cli/facts_table.h"
#include "cli/find.h"
#include "cli/inspect.h"
#include "cli/option.h"
#include "cli/say.h"
#include "cli/versions.h"

enum { EXIT_UNFIT = 1 };

struct doctor {
	const char *folder;
	bool json;
	bool colours;
	pid_t pid; /* to look at; 0: none */
	struct libscols_table *table;
	struct doctor_daemon daemon;
	struct parts parts;
	int host[CALLS_MAX];    /* what each call did */
	int library[CALLS_MAX]; /* under the library; FACT_TOLD: nobody knows */
	char failure[512];      /* why no program runs under the library */
};

static void add(const struct doctor *doctor, const char *what, struct fact fact)
{
	facts_table_add(doctor->table, what, &fact);
}

/* In the child, under the library: what each call does. */
static int probe(void)
{
	for (size_t i = 0; i < call_count; i++)
		dprintf(STDOUT_FILENO, "call %zu %d\n", i, call_try(i));
	return EXIT_SUCCESS;
}

/* With the daemon that there is, or, so that none is left behind, with one of its own. */
static _Noreturn void become_probe(const struct doctor *doctor, int said)
{
	static const char self[] = "/proc/self/exe";
	static const char *const by_itself[] = {"shmemu", "doctor", "--probe", NULL};
	static const char *const by_run[] = {"shmemu", "run", "--", self, "doctor", "--probe",
	                                     NULL};
	bool is_met = doctor->daemon.sock >= 0;

	dup2(said, STDOUT_FILENO);
	dup2(said, STDERR_FILENO);
	if (is_met) {
		setenv("SHMEMU_DIR", doctor->daemon.path.bytes, 1);
		setenv("LD_PRELOAD", doctor->parts.library, 1);
	}
	execv(self, (char *const *)(uintptr_t)(is_met ? by_itself : by_run));
	fail("cannot run %s: %s", self, strerror(errno));
}

/* A result, or what it has to say: the first of that is kept, without who said it. */
static void take_line(struct doctor *doctor, char *line)
{
	static const char ours[] = "shmemu: ";
	size_t call;
	int result;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "call %zu %d", &call, &result) == 2 && call < call_count) {
		doctor->library[call] = result;
		return;
	}
	while (strncmp(line, ours, strlen(ours)) == 0)
		line += strlen(ours);
	if (!doctor->failure[0])
		snprintf(doctor->failure, sizeof doctor->failure, "%s", line);
}

static void read_lines(struct doctor *doctor, int said)
{
	FILE *lines = fdopen(said, "r");
	char *line = NULL;
	size_t size = 0;

	while (lines && getline(&line, &size, lines) > 0)
		take_line(doctor, line);
	free(line);
	if (lines)
		fclose(lines);
}

/* Fills in doctor->library, or doctor->failure. */
static void try_program(struct doctor *doctor)
{
	int status = -1;
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		fail("cannot make a pipe: %s", strerror(errno));
	child = fork();
	if (child == 0)
		become_probe(doctor, ends[1]);
	close(ends[1]);
	read_lines(doctor, ends[0]);
	if (child > 0)
		waitpid(child, &status, 0);
	if (status == 0 && doctor->library[call_count - 1] != FACT_TOLD)
		doctor->failure[0] = '\0';
	else if (!doctor->failure[0])
		snprintf(doctor->failure, sizeof doctor->failure, "it ended, and did not say why");
}

static void add_questions(const struct doctor *doctor, const struct fact_question *questions,
                          size_t count)
{
	for (size_t i = 0; i < count; i++)
		add(doctor, questions[i].what, fact_find(&questions[i]));
}

static void add_calls(const struct doctor *doctor)
{
	for (size_t i = 0; i < call_count; i++)
		add(doctor, call_name(i),
		    call_describe(i, doctor->host[i], doctor->library[i]));
	add(doctor, "SHMEMU_MMAP", call_find_setting());
}

static void add_program(const struct doctor *doctor)
{
	struct fact fact = fact_told("ran with the library and %s daemon",
	                             doctor->daemon.sock >= 0 ? "that" : "its own");

	if (doctor->failure[0])
		fact = fact_told("%s", doctor->failure);
	fact.library = doctor->failure[0] ? FACT_NO : 0;
	add(doctor, "program", fact);
}

/* The calls that one of the two lacks. Returns how many. */
static int list_lacking(const struct doctor *doctor, bool of_library, char *text, size_t size)
{
	size_t length = 0;
	int count = 0;

	text[0] = '\0';
	for (size_t i = 0; i < call_count; i++) {
		if ((of_library ? doctor->library : doctor->host)[i] == 0)
			continue;
		count++;
		if (length < size)
			length += (size_t)snprintf(text + length, size - length, "%s%s",
			                           length ? ", " : "", call_name(i));
	}
	return count;
}

/* Returns the exit status, and it in words. */
static int judge(const struct doctor *doctor, char *text, size_t size)
{
	char host[512], library[512];
	int host_lacks = list_lacking(doctor, false, host, sizeof host);
	int library_lacks = list_lacking(doctor, true, library, sizeof library);

	if (doctor->failure[0]) {
		snprintf(text, size, "with the library nothing works here: %s", doctor->failure);
		return EXIT_UNFIT;
	}
	snprintf(text, size, "with the library %s works here%s%s; the host by itself lacks %s",
	         library_lacks ? "all" : "everything", library_lacks ? " but " : "", library,
	         host_lacks ? host : "nothing");
	return library_lacks ? EXIT_UNFIT : EXIT_SUCCESS;
}

/* JSON has it as its last row. */
static int conclude(const struct doctor *doctor)
{
	char text[2048];
	int status = judge(doctor, text, sizeof text);

	if (doctor->json)
		add(doctor, "verdict", fact_told("%s", text));
	table_print(doctor->table);
	if (!doctor->json)
		table_print_verdict(text);
	return status;
}

static int examine(struct doctor *doctor)
{
	bool usable;
	int status;

	find_parts(&doctor->parts);
	doctor->table = facts_table_new(doctor->json, doctor->colours);
	add_questions(doctor, fact_questions, fact_question_count);
	add_questions(doctor, mount_questions, mount_question_count);
	add_questions(doctor, limit_questions, limit_question_count);
	versions_add(doctor->table, &doctor->parts);
	for (size_t i = 0; i < call_count; i++) {
		doctor->host[i] = call_try(i);
		doctor->library[i] = FACT_TOLD;
	}
	usable = doctor_daemon_add(&doctor->daemon, doctor->folder, doctor->table);
	if (usable)
		try_program(doctor);
	else
		snprintf(doctor->failure, sizeof doctor->failure, "the daemon is none to use");
	add_calls(doctor);
	add_program(doctor);
	status = conclude(doctor);
	fd_close_at(&doctor->daemon.sock);
	return status;
}

/* What the host has only it can tell: without the library, this program is executed anew. */
static void shed_library(char **argv)
{
	static const char library[] = "libshmemu.so";
	const char *preloaded = getenv("LD_PRELOAD");
	char rest[PATH_MAX * 2] = "";
	char *words, *word, *state = NULL;

	if (!preloaded || !strstr(preloaded, library))
		return;
	words = strdup(preloaded);
	for (word = strtok_r(words, ": ", &state); word; word = strtok_r(NULL, ": ", &state)) {
		size_t length = strlen(rest);

		if (!strstr(word, library))
			snprintf(rest + length, sizeof rest - length, "%s%s", length ? ":" : "",
			         word);
	}
	free(words);
	setenv("LD_PRELOAD", rest, 1);
	/* The subcommand is argv[0]. */
	execv("/proc/self/exe", argv - 1);
	fail("cannot run /proc/self/exe: %s", strerror(errno));
}

static pid_t parse_pid(const char *text)
{
	char *end;
	long pid = strtol(text, &end, 10);

	if (end == text || *end || pid <= 0 || pid > INT_MAX)
		fail("--pid is the number of a process, not '%s'", text);
	return (pid_t)pid;
}

static int doctor_main(int argc, char **argv)
{
	struct doctor doctor = {.daemon = DOCTOR_DAEMON_NULL};
	const char *when = NULL;
	int option;

	while ((option = option_next(&doctor_subcommand, argc, argv)) != -1) {
		switch (option) {
		case 'd': doctor.folder = optarg; break;
		case 'j': doctor.json = true; break;
		case 'C': when = optarg; break;
		case 'p': doctor.pid = parse_pid(optarg); break;
		case 'P': return probe();
		}
	}
	/* Who ignores their ends hands that on, and they can't be waited for. */
	signal(SIGCHLD, SIG_DFL);
	doctor.colours = colour_is_wanted(when);
	if (doctor.pid && optind < argc)
		fail("--pid or a command, not both");
	shed_library(argv);
	if (doctor.pid)
		return inspect_process(doctor.pid, doctor.json, doctor.colours);
	if (optind < argc)
		return inspect_command(argv + optind, doctor.json, doctor.colours);
	return examine(&doctor);
}

static const struct subcommand_option options[] = {
	OPTION_DIR("the daemon that serves DIR"),
	OPTION_JSON("as JSON"),
	OPTION_COLOR,
	{"pid", 'p', "PID", "inspect a process and its descendants", COMPLETE_NOTHING},
	{"probe", 'P', NULL, NULL, COMPLETE_NOTHING},
	OPTION_END,
};

const struct subcommand doctor_subcommand = {
	.name = "doctor",
	.arguments = {"[OPTION]...", "[OPTION]... -- COMMAND [ARG]...",
	              "[--json] [--color=WHEN] --pid=PID"},
	.summary = "tell what this host has, and what programs have with the library, and why",
	.about = "Tell what this host has and lacks, and for each call what a program with the "
	         "library has and by which road. With COMMAND or PID: what of it the library "
	         "reaches, without running it.",
	.after = "The exit status is 0 if a program with the library has all that the table names, "
	         "or the library reaches COMMAND or PID and its descendants; 1 if something can't "
	         "be had, or is out of reach; 126 and 127 if COMMAND can't be executed or found; "
	         "125 if the tool failed.",
	.options = options,
	.operands = COMPLETE_COMMAND,
	.run = doctor_main,
};
