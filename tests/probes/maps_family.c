/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mappings and several processes: what children inherit, what they give back, what an executed
 * program finds, and processes that map one file by themselves. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/probes/helper.h"
#include "tests/probes/mapping.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define LENGTH(pages) ((size_t)(pages) * PAGE)

enum { PROCESSES = 4 };

static char *inherited;
static int inherited_fd;

static void add_to_it(void *ignored)
{
	(void)ignored;
	inherited[1] = inherited[0] == 'p' ? 'c' : '-';
	inherited[PAGE] = 'C';
}

static void tell_both(const char *when)
{
	tell("%s: %c%c, %s", when, inherited[0], inherited[1], look(inherited + PAGE));
}

/* Both directions. */
static void ask_fork_of(const char *what, char *memory)
{
	inherited = memory;
	inherited[0] = 'p';
	inherited[1] = '.';
	inherited[PAGE] = '.';
	tell("%s, child: %d", what, in_child(add_to_it, NULL));
	tell_both("parent then");
	inherited[0] = 'q';
	tell("child again: %d", in_child(add_to_it, NULL));
	tell_both("parent then");
}

static void ask_fork(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDWR, 2 * PAGE);

	ask_fork_of("shared", map(fd, LENGTH(2), READ_WRITE, MAP_SHARED));
	tell("the file: %s %s %s", contents(fd, 0), contents(fd, 1), contents(fd, PAGE));
	ask_fork_of("private", map(fd, LENGTH(2), READ_WRITE, MAP_PRIVATE));
	tell("the file: %s %s %s", contents(fd, 0), contents(fd, 1), contents(fd, PAGE));
	ask_fork_of("without a descriptor", map(fd, LENGTH(2), READ_WRITE, MAP_SHARED));
	close(fd);
	fd = mapping_again(O_RDONLY);
	tell("the file: %s %s %s", contents(fd, 0), contents(fd, 1), contents(fd, PAGE));
}

static int down[2], up[2];

/* By pipes, to and fro. */
static void play(void *ignored)
{
	(void)ignored;
	for (int i = 0; i < 20; i++) {
		hear(down[0]);
		must(inherited[0] == (char)('a' + i));
		inherited[1] = (char)('A' + i);
		nudge(up[1]);
	}
}

static void ask_talk_of(const char *what, char *memory)
{
	int wrong = 0;
	pid_t pid;

	inherited = memory;
	must(pipe(down) == 0 && pipe(up) == 0);
	pid = fork();
	if (pid == 0) {
		play(NULL);
		_exit(0);
	}
	for (int i = 0; i < 20; i++) {
		inherited[0] = (char)('a' + i);
		nudge(down[1]);
		hear(up[0]);
		wrong += inherited[1] != (char)('A' + i);
	}
	tell("%s: %d wrong, child %d", what, wrong, await_child(pid));
}

static void ask_talk(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDWR, 2 * PAGE);

	ask_talk_of("inherited", map(fd, LENGTH(2), READ_WRITE, MAP_SHARED));
}

/* Processes that were there before it was mapped, each with a mapping of its own; each has a byte
 * of the first page, and a page. */
static void fill_own(int number, int fd)
{
	char *memory = map(fd, LENGTH(1 + PROCESSES), READ_WRITE, MAP_SHARED);

	must(memory != NULL);
	nudge(up[1]);
	hear(down[0]);
	memory[number] = (char)('0' + number);
	memset(memory + LENGTH(1 + number), 'A' + number, PAGE);
	if (number % 2)
		must(munmap(memory, LENGTH(1 + PROCESSES)) == 0);
	_exit(memory && number % 2 == 0 && memory[number] != (char)('0' + number));
}

static void ask_strangers(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDWR, (long)LENGTH(1 + PROCESSES));
	pid_t children[PROCESSES];
	char *memory;

	must(pipe(down) == 0 && pipe(up) == 0);
	for (int i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		if (children[i] == 0)
			fill_own(i, fd);
	}
	memory = map(fd, LENGTH(1 + PROCESSES), READ_WRITE, MAP_SHARED);
	for (int i = 0; i < PROCESSES; i++)
		hear(up[0]);
	memory[PROCESSES] = 'm';
	for (int i = 0; i < PROCESSES; i++)
		nudge(down[1]);
	for (int i = 0; i < PROCESSES; i++)
		must(await_child(children[i]) == 0);
	tell("bytes: %.6s", memory);
	for (int i = 0; i < PROCESSES; i++)
		tell("page %d: %c %c", i, memory[LENGTH(1 + i)], memory[LENGTH(2 + i) - 1]);
	ask(msync(memory, LENGTH(1 + PROCESSES), MS_SYNC));
	tell("the file: %s %s %s", contents(fd, 0), contents(fd, 3), contents(fd, PROCESSES));
}

static void die(void *ignored)
{
	(void)ignored;
	inherited[0] = 'k';
	(void)!pread(inherited_fd, &(char){0}, 1, 0);
	raise(SIGKILL);
}

/* What a killed process had released stays. */
static void ask_killed(enum mapping_kind kind)
{
	inherited_fd = mapping_open(kind, O_RDWR, PAGE);
	inherited = map(inherited_fd, PAGE, READ_WRITE, MAP_SHARED);
	tell("child: %d", in_child(die, NULL));
	tell("memory: %c, file: %s", inherited[0], contents(inherited_fd, 0));
}

static void leave_by_exit(void *ignored)
{
	(void)ignored;
	inherited[2] = 'e';
	exit(7);
}

static void leave_by_quick_exit(void *ignored)
{
	(void)ignored;
	inherited[2] = 'q';
	quick_exit(8);
}

static void leave_by_exec(void *ignored)
{
	(void)ignored;
	inherited[2] = 'x';
	execl("/bin/sh", "sh", "-c", "exit 9", (char *)NULL);
}

static void leave_by_exec_of_path(void *ignored)
{
	(void)ignored;
	inherited[2] = 'p';
	execlp("sh", "sh", "-c", "exit 10", (char *)NULL);
}

static void leave_by_unmapping(void *ignored)
{
	(void)ignored;
	inherited[2] = 'u';
	munmap(inherited, LENGTH(2));
}

static void leave_by_spawning(void *ignored)
{
	char *words[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"exit 0"}, NULL};
	pid_t pid;

	(void)ignored;
	inherited[2] = 's';
	must(posix_spawn(&pid, "/bin/sh", NULL, NULL, words, NULL) == 0);
	must(await_child(pid) == 0);
	inherited[3] = contents(inherited_fd, 2)[0];
}

static void ask_ends(enum mapping_kind kind)
{
	static void (*const ways[])(void *) = {
		leave_by_exit, leave_by_quick_exit, leave_by_exec,
		leave_by_exec_of_path, leave_by_unmapping, leave_by_spawning,
	};

	inherited_fd = mapping_open(kind, O_RDWR, 2 * PAGE);
	inherited = map(inherited_fd, LENGTH(2), READ_WRITE, MAP_SHARED);
	for (size_t i = 0; i < COUNT(ways); i++) {
		inherited[2] = '.';
		tell("way %zu: %d", i, in_child(ways[i], NULL));
		tell("memory: %c, file: %s", inherited[2], contents(inherited_fd, 2));
	}
	tell("while a child was spawned: %c", inherited[3]);
}

/* An executed program with the file's descriptor, and one that opens it by its name. */
static void ask_exec(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDWR, 2 * PAGE);
	char *memory = map(fd, LENGTH(2), READ_WRITE, MAP_SHARED);

	must(fcntl(fd, F_SETFD, 0) == 0);
	strcpy(memory, HELPER_TEXT);
	tell("executed: %d", helper_exec(HELPER_READ, fd, ""));
	strcpy(memory, "something else");
	tell("executed: %d", helper_exec(HELPER_READ, fd, ""));
	strcpy(memory, HELPER_TEXT);
	tell("spawned: %d", helper_spawn(HELPER_READ, fd, ""));
	strcpy(memory, "something else");
	tell("by system: %d", helper_system(HELPER_READ, fd, "x"));
	strcpy(memory, HELPER_TEXT);
	tell("by system: %d", helper_system(HELPER_READ, fd, "x"));
	if (kind == MAPPING_SEGMENT)
		tell("by name: %d", helper_exec(HELPER_OPEN, -1, "/mapping"));
}

static const struct mapping_group groups[] = {
	{"fork", ask_fork}, {"talk", ask_talk}, {"strangers", ask_strangers},
	{"killed", ask_killed}, {"ends", ask_ends}, {"exec", ask_exec}, {NULL, NULL},
};

static void ask_anonymous(enum mapping_kind kind)
{
	int zero = open("/dev/zero", O_RDWR);
	int anonymous = READ_WRITE;

	(void)kind;
	ask_fork_of("shared", map(-1, LENGTH(2), anonymous, MAP_SHARED | MAP_ANONYMOUS));
	ask_fork_of("private", map(-1, LENGTH(2), anonymous, MAP_PRIVATE | MAP_ANONYMOUS));
	ask_fork_of("zero, shared", map(zero, LENGTH(2), anonymous, MAP_SHARED));
	ask_fork_of("zero, private", map(zero, LENGTH(2), anonymous, MAP_PRIVATE));
	ask_talk_of("shared", map(-1, LENGTH(2), anonymous, MAP_SHARED | MAP_ANONYMOUS));
	ask_talk_of("zero, shared", map(zero, LENGTH(2), anonymous, MAP_SHARED));
}

static void grandchild(void *ignored)
{
	(void)ignored;
	inherited[1] = inherited[0] == 'p' ? 'g' : '-';
}

static void child_of_child(void *ignored)
{
	(void)ignored;
	must(in_child(grandchild, NULL) == 0);
	inherited[2] = inherited[1];
}

static void ask_generations(enum mapping_kind kind)
{
	char *other;

	(void)kind;
	inherited = map(-1, LENGTH(2), READ_WRITE, MAP_SHARED | MAP_ANONYMOUS);
	other = map(-1, PAGE, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS);
	inherited[0] = 'p';
	other[0] = 'o';
	tell("child: %d", in_child(child_of_child, NULL));
	tell("%.3s, the other: %c", inherited, other[0]);
	must(munmap(other, PAGE) == 0);
	ask(munmap(inherited + PAGE, PAGE));
	tell("child: %d", in_child(child_of_child, NULL));
	tell("%.3s", inherited);
	/* Two that were made one after another are two. */
	other = map(-1, PAGE, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS);
	tell("new: %d", other[0]);
}

/* Siblings, each with bytes of its own in one page. */
static void ask_siblings(enum mapping_kind kind)
{
	char *memory = map(-1, PAGE, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS);
	pid_t children[PROCESSES];
	int wrong = 0;

	(void)kind;
	for (int i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			for (int at = i; at < PAGE; at += PROCESSES)
				memory[at] = (char)('a' + i);
			_exit(0);
		}
	}
	for (int i = 0; i < PROCESSES; i++)
		must(await_child(children[i]) == 0);
	for (int at = 0; at < PAGE; at++)
		wrong += memory[at] != (char)('a' + at % PROCESSES);
	tell("%d wrong", wrong);
}

static const struct mapping_group single[] = {
	{"anonymous", ask_anonymous},
	{"generations", ask_generations},
	{"siblings", ask_siblings},
	{NULL, NULL},
};

static void body(void)
{
	mapping_run(groups);
	mapping_run_once(single);
}

int main(int argc, char **argv)
{
	if (helper_is_meant(argc, argv))
		return helper_main(argc, argv);
	return probe_run(argc, argv, body);
}
