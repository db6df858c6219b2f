/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What mmap is asked for, right and wrong: kinds of mapping, flags, lengths, offsets, addresses,
 * and descriptors of things that can't be mapped. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/probes/mapping.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define TYPES 16

struct flag {
	const char *name;
	int value;
};

static const char *map_outcome(void *address, size_t length, int flags, int fd, off_t offset)
{
	void *memory = mmap(address, length, READ_WRITE, flags, fd, offset);

	if (memory == MAP_FAILED)
		return outcome(-1);
	must(munmap(memory, length) == 0);
	return "ok";
}

static void ask_types(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDWR, PAGE);

	for (int type = 0; type < TYPES; type++) {
		if (type == 8) /* MAP_DROPPABLE, of anonymous memory, since Linux 6.11 */
			continue;
		tell("type %d of a file: %s", type, map_outcome(NULL, PAGE, type, fd, 0));
		tell("type %d of nothing: %s", type, map_outcome(NULL, PAGE, type, -1, 0));
		tell("type %d, anonymous: %s", type,
		     map_outcome(NULL, PAGE, type | MAP_ANONYMOUS, -1, 0));
	}
}

static void ask_lengths(enum mapping_kind kind)
{
	static const size_t lengths[] = {
		0, 1, PAGE - 1, PAGE, PAGE + 1, (size_t)1 << 62, (size_t)1 << 47, SIZE_MAX,
		SIZE_MAX - PAGE, SIZE_MAX - PAGE + 1, SIZE_MAX - PAGE + 2, SIZE_MAX / 2,
	};
	int fd = mapping_open(kind, O_RDWR, 3 * PAGE);

	for (size_t i = 0; i < COUNT(lengths); i++) {
		tell("shared, length %#zx: %s", lengths[i],
		     map_outcome(NULL, lengths[i], MAP_SHARED, fd, 0));
		tell("private, length %#zx: %s", lengths[i],
		     map_outcome(NULL, lengths[i], MAP_PRIVATE, fd, 0));
		tell("of nothing, length %#zx: %s", lengths[i],
		     map_outcome(NULL, lengths[i], MAP_SHARED, -1, 0));
		tell("anonymous, length %#zx: %s", lengths[i],
		     map_outcome(NULL, lengths[i], MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		tell("shared anonymous, length %#zx: %s", lengths[i],
		     map_outcome(NULL, lengths[i], MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	}
}

static void ask_offsets(enum mapping_kind kind)
{
	static const off_t offsets[] = {
		0, 1, PAGE / 2, PAGE, PAGE + 1, 2 * PAGE, 3 * PAGE, 100L * PAGE, -PAGE, -1,
		INT64_MAX - PAGE + 1, INT64_MAX, INT64_MAX - 2 * PAGE + 1, (off_t)1 << 44,
	};
	int fd = mapping_open(kind, O_RDWR, 3 * PAGE);
	char *memory;

	for (size_t i = 0; i < COUNT(offsets); i++) {
		tell("shared, offset %#lx: %s", (long)offsets[i],
		     map_outcome(NULL, 2 * PAGE, MAP_SHARED, fd, offsets[i]));
		tell("private, offset %#lx: %s", (long)offsets[i],
		     map_outcome(NULL, 2 * PAGE, MAP_PRIVATE, fd, offsets[i]));
		tell("anonymous, offset %#lx: %s", (long)offsets[i],
		     map_outcome(NULL, 2 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1, offsets[i]));
		tell("shared anonymous, offset %#lx: %s", (long)offsets[i],
		     map_outcome(NULL, 2 * PAGE, MAP_SHARED | MAP_ANONYMOUS, -1, offsets[i]));
	}
	memory = map_from(fd, 2 * PAGE, READ_WRITE, MAP_SHARED, PAGE);
	tell("from the second page: %s", pages(memory, 2));
	memory[PAGE] = 'z';
	ask(msync(memory, 2 * PAGE, MS_SYNC));
	tell("the file's pages: %s %s %s", contents(fd, 0), contents(fd, PAGE),
	     contents(fd, 2 * PAGE));
	memory = map_from(fd, PAGE, READ_WRITE, MAP_PRIVATE, 2 * PAGE);
	tell("privately from the third: %c", *memory);
}

/* A mapping is of whole pages, whatever its length. */
static void ask_rest(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDWR, 3 * PAGE);
	char *memory = map_apart(fd, PAGE + 1, READ_WRITE, MAP_SHARED);

	tell("pages: %s", pages(memory, 4));
	tell("the rest: %s", rights(memory + 2 * PAGE - 1));
	memory[2 * PAGE - 1] = 'y';
	ask(msync(memory, PAGE + 1, MS_SYNC));
	tell("in the file: %s", contents(fd, 2 * PAGE - 1));
	ask(munmap(memory, 1));
	tell("pages: %s", pages(memory, 2));
	ask(munmap(memory + PAGE, 1));
	tell("pages: %s", pages(memory, 2));
}

static void ask_hints(enum mapping_kind kind)
{
	static const struct flag hints[] = {
		{"MAP_POPULATE", MAP_POPULATE}, {"MAP_NORESERVE", MAP_NORESERVE},
		{"MAP_LOCKED", MAP_LOCKED}, {"MAP_STACK", MAP_STACK},
		{"MAP_NONBLOCK", MAP_NONBLOCK}, {"MAP_GROWSDOWN", MAP_GROWSDOWN},
		{"MAP_DENYWRITE", MAP_DENYWRITE}, {"MAP_EXECUTABLE", MAP_EXECUTABLE},
		{"MAP_POPULATE|MAP_NONBLOCK", MAP_POPULATE | MAP_NONBLOCK},
		{"MAP_32BIT", MAP_32BIT}, {"MAP_SYNC", MAP_SYNC}, {"an unknown flag", 1 << 30},
		{"MAP_HUGETLB", MAP_HUGETLB}, {"MAP_FILE", MAP_FILE},
	};
	int fd = mapping_open(kind, O_RDWR, PAGE);

	for (size_t i = 0; i < COUNT(hints); i++) {
		int hint = hints[i].value;

		tell("shared, %s: %s", hints[i].name,
		     map_outcome(NULL, PAGE, MAP_SHARED | hint, fd, 0));
		tell("validated, %s: %s", hints[i].name,
		     map_outcome(NULL, PAGE, MAP_SHARED_VALIDATE | hint, fd, 0));
		tell("private, %s: %s", hints[i].name,
		     map_outcome(NULL, PAGE, MAP_PRIVATE | hint, fd, 0));
		tell("anonymous, %s: %s", hints[i].name,
		     map_outcome(NULL, PAGE, MAP_PRIVATE | MAP_ANONYMOUS | hint, -1, 0));
		tell("shared anonymous, %s: %s", hints[i].name,
		     map_outcome(NULL, PAGE, MAP_SHARED | MAP_ANONYMOUS | hint, -1, 0));
	}
}

/* What is asked for is there with its contents. */
static void ask_filled(enum mapping_kind kind)
{
	static const int flags[] = {MAP_POPULATE, MAP_NORESERVE, MAP_LOCKED, MAP_32BIT};
	int fd = mapping_open(kind, O_RDWR, PAGE);

	for (size_t i = 0; i < COUNT(flags); i++) {
		char *shared = map(fd, PAGE, READ_WRITE, MAP_SHARED | flags[i]);
		char *private = map(fd, PAGE, READ_WRITE, MAP_PRIVATE | flags[i]);

		tell("flag %#x: %c %c, low %d", flags[i], *shared, *private,
		     (uintptr_t)shared < UINT32_MAX && (uintptr_t)private < UINT32_MAX);
	}
}

/* Returns what mmap gives there, and says it: as asked, elsewhere, or an error. */
static void ask_there(const char *what, char *address, int flags, int fd)
{
	char *memory = mmap(address, 2 * PAGE, READ_WRITE, flags, fd, 0);

	if (memory == MAP_FAILED)
		tell("%s: %s", what, outcome(-1));
	else
		tell("%s: %s, %s", what, memory == address ? "there" : "elsewhere",
		     pages(memory, 2));
}

static void ask_addresses_of(const char *sharing, int type, int fd)
{
	char *there = map_apart(fd, 4 * PAGE, READ_WRITE, MAP_PRIVATE);
	char *free_place = apart();
	int once = type | MAP_FIXED_NOREPLACE;

	tell("%s", sharing);
	must(munmap(there + 3 * PAGE, PAGE) == 0);
	ask_there("a free place", free_place, type, fd);
	ask_there("an unaligned one", apart() + 100, type, fd);
	ask_there("one that is taken", there, type, fd);
	ask_there("taken in part", there + 2 * PAGE, type, fd);
	tell("what was there: %s", pages(there, 4));
	ask_there("NOREPLACE, a free place", apart(), once, fd);
	ask_there("NOREPLACE, an unaligned one", apart() + 100, once, fd);
	ask_there("NOREPLACE, taken", there, once, fd);
	ask_there("NOREPLACE, taken in part", there + 2 * PAGE, once, fd);
	ask_there("NOREPLACE, taken before", there - PAGE, once, fd);
	ask_there("FIXED with NOREPLACE, taken", there, once | MAP_FIXED, fd);
	tell("what was there: %s", pages(there, 4));
	ask_there("FIXED, unaligned", there + 100, type | MAP_FIXED, fd);
	ask_there("FIXED, free", apart(), type | MAP_FIXED, fd);
	ask_there("FIXED, beyond all", (char *)((uintptr_t)1 << 56), type | MAP_FIXED, fd);
	there[PAGE] = 'z';
	ask_there("FIXED, in the middle", there + PAGE, type | MAP_FIXED, fd);
	tell("then there: %s", pages(there, 4));
	ask_there("FIXED, over the end", there + 2 * PAGE, type | MAP_FIXED, fd);
	tell("then there: %s", pages(there, 4));
}

static void ask_addresses(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDWR, 4 * PAGE);

	ask_addresses_of("shared", MAP_SHARED, fd);
	ask_addresses_of("private", MAP_PRIVATE, fd);
	ask_addresses_of("anonymous", MAP_PRIVATE | MAP_ANONYMOUS, fd);
	ask_addresses_of("shared anonymous", MAP_SHARED | MAP_ANONYMOUS, fd);
}

/* A mapping over a shared one, with what that had not yet given to its file. */
static void ask_replaced(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDWR, 3 * PAGE);
	char *memory = map(fd, 3 * PAGE, READ_WRITE, MAP_SHARED);
	char *over;

	memory[0] = 'x';
	memory[PAGE] = 'y';
	memory[2 * PAGE] = 'z';
	over = mmap(memory + PAGE, PAGE, READ_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1,
	            0);
	tell("there: %d", over == memory + PAGE);
	tell("memory: %s", pages(memory, 3));
	*over = 'q';
	ask(msync(memory, 3 * PAGE, MS_SYNC));
	tell("the file: %s %s %s", contents(fd, 0), contents(fd, PAGE), contents(fd, 2 * PAGE));
	over = mmap(memory, PAGE, READ_WRITE, MAP_FIXED | MAP_SHARED, fd, 2 * PAGE);
	tell("there: %d", over == memory);
	tell("memory: %s", pages(memory, 3));
	*over = 'w';
	ask(msync(over, PAGE, MS_SYNC));
	tell("the file: %s %s %s", contents(fd, 0), contents(fd, PAGE), contents(fd, 2 * PAGE));
}

static const struct mapping_group groups[] = {
	{"types", ask_types}, {"lengths", ask_lengths}, {"offsets", ask_offsets},
	{"rest", ask_rest}, {"hints", ask_hints}, {"filled", ask_filled},
	{"addresses", ask_addresses}, {"replaced", ask_replaced}, {NULL, NULL},
};

static void ask_fd(const char *what, int fd)
{
	tell("%s, shared: %s", what, map_outcome(NULL, PAGE, MAP_SHARED, fd, 0));
	tell("%s, private: %s", what, map_outcome(NULL, PAGE, MAP_PRIVATE, fd, 0));
	tell("%s, validated: %s", what, map_outcome(NULL, PAGE, MAP_SHARED_VALIDATE, fd, 0));
	tell("%s, length 0: %s", what, map_outcome(NULL, 0, MAP_SHARED, fd, 0));
	tell("%s, type 0: %s", what, map_outcome(NULL, PAGE, 0, fd, 0));
	tell("%s, offset 1: %s", what, map_outcome(NULL, PAGE, MAP_SHARED, fd, 1));
	tell("%s, anonymous: %s", what,
	     map_outcome(NULL, PAGE, MAP_SHARED | MAP_ANONYMOUS, fd, 0));
}

static void ask_things(enum mapping_kind kind)
{
	int ends[2], sockets[2];
	int closed = open("/dev/null", O_RDWR);

	(void)kind;
	must(pipe(ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
	close(closed);
	ask_fd("no descriptor", -1);
	ask_fd("a wrong descriptor", -77);
	ask_fd("AT_FDCWD", AT_FDCWD);
	ask_fd("a number far off", 100000);
	ask_fd("a closed one", closed);
	ask_fd("a folder", open("/tmp", O_RDONLY | O_DIRECTORY));
	ask_fd("a folder's path", open("/tmp", O_PATH));
	ask_fd("a pipe to read", ends[0]);
	ask_fd("a pipe to write", ends[1]);
	ask_fd("a socket", sockets[0]);
	ask_fd("a number of events", eventfd(0, 0));
	ask_fd("an epoll", epoll_create1(0));
	ask_fd("/dev/null", open("/dev/null", O_RDWR));
	ask_fd("/dev/zero", open("/dev/zero", O_RDWR));
	ask_fd("/dev/zero to read", open("/dev/zero", O_RDONLY));
	ask_fd("/proc/self/status", open("/proc/self/status", O_RDONLY));
}

static void ask_zero(enum mapping_kind kind)
{
	int fd = open("/dev/zero", O_RDWR);
	char *shared = map(fd, PAGE, READ_WRITE, MAP_SHARED);
	char *private = map(fd, PAGE, READ_WRITE, MAP_PRIVATE);
	char *from = map_from(fd, PAGE, READ_WRITE, MAP_PRIVATE, 16L * PAGE);

	(void)kind;
	tell("%s %s %s", look(shared), look(private), look(from));
	*shared = 's';
	*private = 'p';
	tell("%s %s", look(shared), look(private));
	ask(msync(shared, PAGE, MS_SYNC));
	ask(munmap(shared, PAGE));
	ask(munmap(private, PAGE));
}

/* A mapping of the program that is running, as its file says. */
static void ask_program(enum mapping_kind kind)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	char *memory = map(fd, PAGE, PROT_READ, MAP_PRIVATE);
	char *shared = map(fd, PAGE, PROT_READ, MAP_SHARED);

	(void)kind;
	must(memory && shared);
	tell("private: %d, shared: %d", memcmp(memory, "\177ELF", 4), memcmp(shared, "\177ELF", 4));
	tell("to write, shared: %s", map_outcome(NULL, PAGE, MAP_SHARED, fd, 0));
	tell("to write, private: %s", map_outcome(NULL, PAGE, MAP_PRIVATE, fd, 0));
}

static const struct mapping_group single[] = {
	{"things", ask_things},
	{"zero", ask_zero},
	{"program", ask_program},
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
