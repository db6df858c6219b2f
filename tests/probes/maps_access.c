/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may map what: each way to open a file, each way to map it, each protection, and what memory
 * that was had can be made into. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/probes/mapping.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { ALL_PROTECTIONS = PROT_READ | PROT_WRITE | PROT_EXEC };

struct way {
	const char *name;
	int value;
};

static const struct way accesses[] = {
	{"O_RDONLY", O_RDONLY},
	{"O_WRONLY", O_WRONLY},
	{"O_RDWR", O_RDWR},
	{"O_RDWR|O_APPEND", O_RDWR | O_APPEND},
	{"O_WRONLY|O_APPEND", O_WRONLY | O_APPEND},
	{"O_RDONLY|O_APPEND", O_RDONLY | O_APPEND},
	{"O_PATH", O_PATH},
};

static const struct way sharings[] = {
	{"MAP_SHARED", MAP_SHARED},
	{"MAP_SHARED_VALIDATE", MAP_SHARED_VALIDATE},
	{"MAP_PRIVATE", MAP_PRIVATE},
};

static const char *protection_name(int protection)
{
	static const char *const names[] = {"---", "r--", "-w-", "rw-",
	                                    "--x", "r-x", "-wx", "rwx"};

	return names[protection & ALL_PROTECTIONS];
}

static void ask_way(int fd, const struct way *access, const struct way *sharing, int protection)
{
	char *memory = map(fd, PAGE, protection, sharing->value);

	tell("%s %s %s: %s", access->name, sharing->name, protection_name(protection),
	     outcome(memory ? 0 : -1));
	if (!memory)
		return;
	if (access->value == O_RDONLY || access->value == O_RDWR)
		tell("its rights: %s", rights(memory));
	must(munmap(memory, PAGE) == 0);
}

static void ask_mmap(enum mapping_kind kind)
{
	for (size_t i = 0; i < COUNT(accesses); i++) {
		int fd = mapping_open(kind, accesses[i].value, PAGE);

		for (size_t j = 0; j < COUNT(sharings); j++)
			for (int protection = 0; protection <= ALL_PROTECTIONS; protection++)
				ask_way(fd, &accesses[i], &sharings[j], protection);
		close(fd);
	}
}

static void ask_change(int fd, const struct way *access, const struct way *sharing, int from)
{
	for (int to = 0; to <= ALL_PROTECTIONS; to++) {
		char *memory = map(fd, PAGE, from, sharing->value);
		int result;

		if (!memory)
			return;
		result = mprotect(memory, PAGE, to);
		tell("%s %s %s to %s: %s", access->name, sharing->name, protection_name(from),
		     protection_name(to), outcome(result));
		if (result == 0 && from != to && to != (PROT_WRITE | PROT_EXEC))
			tell("its rights then: %s", rights(memory));
		must(munmap(memory, PAGE) == 0);
	}
}

static void ask_mprotect(enum mapping_kind kind)
{
	static const int first[] = {PROT_NONE, PROT_READ, READ_WRITE};

	for (size_t i = 0; i < COUNT(accesses); i++) {
		int fd = mapping_open(kind, accesses[i].value, PAGE);

		for (size_t j = 0; j < COUNT(sharings); j += 2)
			for (size_t k = 0; k < COUNT(first); k++)
				ask_change(fd, &accesses[i], &sharings[j], first[k]);
		close(fd);
	}
}

/* What the descriptor was decides, not whether it is open still. */
static void ask_closed(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDONLY, PAGE);
	char *shared = map(fd, PAGE, PROT_READ, MAP_SHARED);
	char *private = map(fd, PAGE, PROT_READ, MAP_PRIVATE);

	must(shared && private && close(fd) == 0);
	tell("shared: %s", look(shared));
	tell("private: %s", look(private));
	ask(mprotect(shared, PAGE, READ_WRITE));
	ask(mprotect(shared, PAGE, PROT_NONE));
	tell("its rights: %s", rights(shared));
	ask(mprotect(shared, PAGE, PROT_READ));
	tell("its rights: %s", rights(shared));
	ask(mprotect(private, PAGE, READ_WRITE));
	tell("its rights: %s", rights(private));
	*private = 'z';
	tell("private: %c, shared: %c", *private, *shared);
	ask(munmap(private, PAGE));
	ask(munmap(shared, PAGE));
	tell("its rights: %s", rights(shared));
}

/* A right that the file's mode no longer gives is had by who has the descriptor. */
static void ask_modes(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDWR, PAGE);
	char *memory = map(fd, PAGE, PROT_READ, MAP_SHARED);

	must(memory && fchmod(fd, 0) == 0);
	ask(mprotect(memory, PAGE, READ_WRITE));
	tell("mapped again: %s", outcome(map(fd, PAGE, READ_WRITE, MAP_SHARED) ? 0 : -1));
	*memory = 'q';
	ask(msync(memory, PAGE, MS_SYNC));
	tell("in the file: %s", contents(fd, 0));
}

static const struct mapping_group groups[] = {
	{"mmap", ask_mmap},
	{"mprotect", ask_mprotect},
	{"closed", ask_closed},
	{"modes", ask_modes},
	{NULL, NULL},
};

static void body(void)
{
	mapping_run(groups);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
