/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may do what with whose segment: owners, modes and askers, each with each. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/probes/probe.h"

#define NAME "/perms"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { UNLINK = -1, UNLINK_PATH = -2 };

struct who {
	const char *name;
	uid_t id; /* group too */
	bool in_owners_group;
};

static const struct who owners[] = {
	{"root", 0, false},
	{"1001", 1001, false},
	{"1002", 1002, false},
};
static const struct who askers[] = {
	{"root", 0, false},
	{"1001", 1001, false},
	{"1002", 1002, false},
	{"1001 of the group", 1001, true},
};
static const mode_t modes[] = {0000, 0400, 0200, 0600, 0640, 0660, 0644, 0666, 0604};
static const int operations[] = {
	O_RDONLY, O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_RDWR | O_CREAT, UNLINK_PATH, UNLINK,
};

struct question {
	const struct who *owner;
	const struct who *asker;
	mode_t mode;
};

static void become(const struct who *who, gid_t extra)
{
	must(setgroups(1, &extra) == 0);
	must(setresgid(who->id, who->id, who->id) == 0);
	must(setresuid(who->id, who->id, who->id) == 0);
}

static void create(void *argument)
{
	const struct question *question = argument;

	become(question->owner, question->owner->id);
	close(make_segment(NAME, question->mode, 10));
}

static const char *perform(int operation)
{
	if (operation == UNLINK_PATH)
		return outcome(unlink("/dev/shm" NAME));
	return operation == UNLINK ? outcome(shm_unlink(NAME)) : try_open(NAME, operation, 0600);
}

static void ask_as_asker(void *argument)
{
	const struct question *question = argument;
	const struct who *asker = question->asker;

	become(asker, asker->in_owners_group ? question->owner->id : asker->id);
	for (size_t i = 0; i < COUNT(operations); i++)
		say("%s's %04o, %s: flags %d: %s", question->owner->name, question->mode,
		    asker->name, operations[i], perform(operations[i]));
}

static void body(void)
{
	if (geteuid() != 0)
		skip("only root can be one user after the other");
	umask(0);
	for (size_t i = 0; i < COUNT(owners); i++)
		for (size_t j = 0; j < COUNT(modes); j++)
			for (size_t k = 0; k < COUNT(askers); k++) {
				struct question question = {&owners[i], &askers[k], modes[j]};

				must(in_child(create, &question) == 0);
				must(in_child(ask_as_asker, &question) == 0);
				shm_unlink(NAME);
			}
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
