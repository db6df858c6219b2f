/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of mappings: munmap and mprotect of some pages, of several mappings at once, over holes. */
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include "tests/probes/mapping.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { PAGES = 6 };

static char *make(enum mapping_kind kind, int sharing, int *ret_fd)
{
	*ret_fd = mapping_open(kind, O_RDWR, (long)PAGES * PAGE);
	return map_apart(*ret_fd, (size_t)PAGES * PAGE, READ_WRITE, sharing);
}

/* Stores in all pages that are there, and tells what the file has when they are gone. */
static void tell_file(int fd)
{
	tell("the file: %s %s %s %s %s %s", contents(fd, 0), contents(fd, PAGE),
	     contents(fd, 2L * PAGE), contents(fd, 3L * PAGE), contents(fd, 4L * PAGE),
	     contents(fd, 5L * PAGE));
}

static void store_all(char *memory)
{
	for (int i = 0; i < PAGES; i++)
		memory[i * PAGE] = (char)('A' + i);
}

static void ask_unmapped_of(enum mapping_kind kind, int sharing)
{
	int fd;
	char *memory = make(kind, sharing, &fd);

	tell("sharing %d: %s", sharing, pages(memory, PAGES));
	store_all(memory);
	ask(munmap(memory, PAGE));
	tell("the first: %s", pages(memory, PAGES));
	ask(munmap(memory + 5 * PAGE, PAGE));
	tell("the last: %s", pages(memory, PAGES));
	ask(munmap(memory + 2 * PAGE, PAGE));
	tell("in the middle: %s", pages(memory, PAGES));
	ask(munmap(memory + 2 * PAGE, PAGE));
	tell("again: %s", pages(memory, PAGES));
	tell_file(fd);
	memory[PAGE] = 'x';
	memory[4 * PAGE] = 'y';
	ask(msync(memory + PAGE, PAGE, MS_SYNC));
	ask(msync(memory + 3 * PAGE, 2 * PAGE, MS_SYNC));
	tell_file(fd);
	ask(munmap(memory, (size_t)PAGES * PAGE));
	tell("all: %s", pages(memory, PAGES));
	ask(munmap(memory, (size_t)PAGES * PAGE));
	tell_file(fd);
}

static void ask_unmapped(enum mapping_kind kind)
{
	ask_unmapped_of(kind, MAP_SHARED);
	ask_unmapped_of(kind, MAP_PRIVATE);
}

/* Three neighbours: of the file, of nothing, of the file. */
static char *neighbours(enum mapping_kind kind, int *ret_fd)
{
	char *place = apart();
	int fixed = MAP_FIXED | MAP_SHARED;

	*ret_fd = mapping_open(kind, O_RDWR, (long)PAGES * PAGE);
	must(mmap(place, 2 * PAGE, READ_WRITE, fixed, *ret_fd, 0) == place);
	must(mmap(place + 2 * PAGE, 2 * PAGE, READ_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS,
	          -1, 0) == place + 2 * PAGE);
	must(mmap(place + 4 * PAGE, 2 * PAGE, READ_WRITE, fixed, *ret_fd, 4L * PAGE) ==
	     place + 4 * PAGE);
	return place;
}

static void ask_over_several(enum mapping_kind kind)
{
	int fd;
	char *memory = neighbours(kind, &fd);

	store_all(memory);
	tell("before: %s", pages(memory, PAGES));
	ask(mprotect(memory + PAGE, 4 * PAGE, PROT_READ));
	tell("rights: %s %s %s %s", rights(memory), rights(memory + PAGE),
	     rights(memory + 3 * PAGE), rights(memory + 5 * PAGE));
	ask(munmap(memory + PAGE, 4 * PAGE));
	tell("after: %s", pages(memory, PAGES));
	tell_file(fd);
	memory[0] = 'x';
	memory[5 * PAGE] = 'y';
	ask(munmap(memory - 3 * PAGE, (size_t)PAGES * PAGE + 10 * PAGE));
	tell("all about: %s", pages(memory, PAGES));
	tell_file(fd);
}

static void ask_unmap_errors(enum mapping_kind kind)
{
	int fd;
	char *memory = make(kind, MAP_SHARED, &fd);

	ask(munmap(memory, 0));
	ask(munmap(memory + 1, PAGE));
	ask(munmap(memory + PAGE - 1, 1));
	ask(munmap(memory, SIZE_MAX));
	ask(munmap(memory, (size_t)1 << 62));
	ask(munmap((char *)((uintptr_t)1 << 56), PAGE));
	tell("all is there: %s", pages(memory, PAGES));
	ask(munmap(apart(), PAGE));
	ask(munmap(apart(), 100L * PAGE));
	ask(munmap(memory + 3 * PAGE, PAGE + 1));
	tell("two pages less: %s", pages(memory, PAGES));
}

static void ask_protected_of(enum mapping_kind kind, int sharing)
{
	int fd;
	char *memory = make(kind, sharing, &fd);

	tell("sharing %d", sharing);
	store_all(memory);
	ask(mprotect(memory + PAGE, PAGE, PROT_READ));
	ask(mprotect(memory + 2 * PAGE, PAGE, PROT_NONE));
	ask(mprotect(memory + 4 * PAGE, 1, PROT_READ));
	tell("rights: %s %s %s %s", rights(memory), rights(memory + PAGE),
	     rights(memory + 2 * PAGE), rights(memory + 3 * PAGE));
	tell("rights: %s %s", rights(memory + 4 * PAGE), rights(memory + 5 * PAGE));
	ask(msync(memory, (size_t)PAGES * PAGE, MS_SYNC));
	tell_file(fd);
	/* What others write arrives where this process may not look, and where it may not write. */
	must(pwrite(fd, "1", 1, PAGE) == 1 && pwrite(fd, "2", 1, 2L * PAGE) == 1);
	tell("pages: %s", pages(memory, PAGES));
	ask(mprotect(memory, (size_t)PAGES * PAGE, READ_WRITE));
	tell("pages: %s", pages(memory, PAGES));
	tell("rights: %s %s", rights(memory + PAGE), rights(memory + 4 * PAGE));
	memory[2 * PAGE] = 'x';
	ask(msync(memory, (size_t)PAGES * PAGE, MS_SYNC));
	tell_file(fd);
}

static void ask_protected(enum mapping_kind kind)
{
	ask_protected_of(kind, MAP_SHARED);
	ask_protected_of(kind, MAP_PRIVATE);
}

/* A system call that is given such memory. */
static void ask_given(enum mapping_kind kind)
{
	int fd;
	char *memory = make(kind, MAP_SHARED, &fd);
	int ends[2];

	must(pipe(ends) == 0 && write(ends[1], "given", 5) == 5);
	ask(mprotect(memory + PAGE, PAGE, PROT_READ));
	ask(mprotect(memory + 2 * PAGE, PAGE, PROT_NONE));
	tell("read to what is read-only: %s", outcome(read(ends[0], memory + PAGE, 5)));
	tell("write from what is nothing: %s", outcome(write(ends[1], memory + 2 * PAGE, 5)));
	tell("read: %s", outcome(read(ends[0], memory + 10, 5)));
	ask(msync(memory, PAGE, MS_SYNC));
	tell("in the file: %s %s", contents(fd, 10), contents(fd, 14));
	tell("a page from itself: %s", outcome(pwrite(fd, memory, PAGE, 3L * PAGE)));
	tell("there: %s %s", look(memory + 3 * PAGE), look(memory + 3 * PAGE + 10));
	tell("a page to itself: %s", outcome(pread(fd, memory + 5 * PAGE, PAGE, 3L * PAGE)));
	tell("there: %s %s", look(memory + 5 * PAGE), look(memory + 5 * PAGE + 10));
	ask(msync(memory, (size_t)PAGES * PAGE, MS_SYNC));
	tell_file(fd);
}

static void ask_protect_errors(enum mapping_kind kind)
{
	int fd;
	char *memory = make(kind, MAP_SHARED, &fd);

	ask(mprotect(memory + 1, PAGE, PROT_READ));
	ask(mprotect(memory, 0, PROT_READ));
	ask(mprotect(memory, PAGE, 1 << 20));
	ask(mprotect(memory, PAGE, PROT_READ | PROT_GROWSUP | PROT_GROWSDOWN));
	ask(mprotect(memory, SIZE_MAX, PROT_READ));
	ask(mprotect(memory, SIZE_MAX - PAGE + 1, PROT_READ));
	ask(mprotect(apart(), PAGE, PROT_READ));
	tell("rights: %s", rights(memory));
	ask(munmap(memory + 3 * PAGE, PAGE));
	ask(mprotect(memory + 2 * PAGE, 3 * PAGE, PROT_READ));
	/* What lay before the hole has been changed. */
	tell("rights: %s %s", rights(memory + 2 * PAGE), rights(memory + 4 * PAGE));
	ask(mprotect(memory + 3 * PAGE, 2 * PAGE, PROT_READ));
	tell("rights: %s", rights(memory + 4 * PAGE));
	ask(mprotect(memory + 4 * PAGE, 5 * PAGE, PROT_READ));
	tell("rights: %s", rights(memory + 5 * PAGE));
}

/* A mapping that is read-only for ever, beside one that is not. */
static void ask_read_only(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDONLY, 2 * PAGE);
	char *memory = map_apart(fd, 2 * PAGE, PROT_READ, MAP_SHARED);
	int both = mapping_again(O_RDWR);
	char *next;

	next = mmap(memory + 2 * PAGE, 2 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, both, 0);
	must(next == memory + 2 * PAGE);
	ask(mprotect(memory, PAGE, READ_WRITE));
	ask(mprotect(memory, 4 * PAGE, READ_WRITE));
	ask(mprotect(next, 2 * PAGE, READ_WRITE));
	tell("rights: %s %s", rights(memory), rights(next));
	ask(mprotect(memory, 2 * PAGE, PROT_READ | PROT_EXEC));
	ask(mprotect(memory, 2 * PAGE, PROT_NONE));
	tell("rights: %s %s", rights(memory), rights(next));
	ask(mprotect(memory, 4 * PAGE, PROT_READ));
	tell("rights: %s %s", rights(memory), rights(next));
}

static const struct mapping_group groups[] = {
	{"unmapped", ask_unmapped},
	{"several", ask_over_several},
	{"munmap's errors", ask_unmap_errors},
	{"protected", ask_protected},
	{"given", ask_given},
	{"mprotect's errors", ask_protect_errors},
	{"read-only", ask_read_only},
	{NULL, NULL},
};

/* Anonymous memory, both ways: the same questions, without a file. */
static void ask_anonymous_of(int sharing)
{
	char *memory = map_apart(-1, (size_t)PAGES * PAGE, READ_WRITE, sharing | MAP_ANONYMOUS);

	tell("sharing %d: %s", sharing, pages(memory, PAGES));
	store_all(memory);
	ask(munmap(memory + 2 * PAGE, PAGE));
	tell("pages: %s", pages(memory, PAGES));
	ask(mprotect(memory, 2 * PAGE, PROT_READ));
	ask(mprotect(memory + PAGE, 3 * PAGE, PROT_NONE));
	ask(mprotect(memory + 4 * PAGE, PAGE, PROT_NONE));
	tell("rights: %s %s %s %s", rights(memory), rights(memory + PAGE),
	     rights(memory + 3 * PAGE), rights(memory + 4 * PAGE));
	ask(mprotect(memory + 4 * PAGE, PAGE, READ_WRITE));
	tell("pages: %s", pages(memory, PAGES));
	ask(munmap(memory, 2 * PAGE));
	ask(munmap(memory, (size_t)PAGES * PAGE));
	tell("pages: %s", pages(memory, PAGES));
}

static void ask_anonymous(enum mapping_kind kind)
{
	(void)kind;
	ask_anonymous_of(MAP_PRIVATE);
	ask_anonymous_of(MAP_SHARED);
}

static const struct mapping_group single[] = {
	{"anonymous", ask_anonymous},
	{NULL, NULL},
};

static void body(void)
{
	mapping_run(groups);
	mapping_run_once(single);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
