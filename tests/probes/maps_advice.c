/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* madvise: hints that change nothing, and advice that does. */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "tests/probes/subject.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct advice {
	const char *name;
	int value;
};

/* What is there stays. */
static const struct advice hints[] = {
	{"NORMAL", MADV_NORMAL}, {"RANDOM", MADV_RANDOM}, {"SEQUENTIAL", MADV_SEQUENTIAL},
	{"WILLNEED", MADV_WILLNEED}, {"DONTFORK", MADV_DONTFORK}, {"DOFORK", MADV_DOFORK},
	{"HUGEPAGE", MADV_HUGEPAGE}, {"NOHUGEPAGE", MADV_NOHUGEPAGE},
	{"DONTDUMP", MADV_DONTDUMP}, {"DODUMP", MADV_DODUMP}, {"COLD", MADV_COLD},
	{"PAGEOUT", MADV_PAGEOUT}, {"POPULATE_READ", MADV_POPULATE_READ},
	{"POPULATE_WRITE", MADV_POPULATE_WRITE}, {"an advice that is none: 5", 5},
	{"an advice that is none: 99", 99}, {"an advice that is none: -1", -1},
	{"an advice that is none: 26", 26},
};

static bool is_of(const char *memory, char byte)
{
	for (size_t i = 0; i < PAGE; i++)
		if (memory[i] != byte)
			return false;
	return true;
}

static void ask_hints(struct subject subject)
{
	char *memory = subject_make(subject);

	memory[PAGE] = 'x';
	for (size_t i = 0; i < COUNT(hints); i++)
		tell("%s: %s", hints[i].name,
		     outcome(madvise(memory, LENGTH(PAGES), hints[i].value)));
	tell("pages: %s", pages(memory, PAGES));
	must(msync(memory, LENGTH(PAGES), MS_SYNC) == 0);
	subject_tell_file();
}

/* Merging takes a kernel that is built for it. */
static void ask_merging(struct subject subject)
{
	char *memory = subject_make(subject);

	tell("MERGEABLE: %s", outcome(madvise(memory, LENGTH(PAGES), MADV_MERGEABLE)));
	tell("UNMERGEABLE: %s", outcome(madvise(memory, LENGTH(PAGES), MADV_UNMERGEABLE)));
	tell("pages: %s", pages(memory, PAGES));
}

static void ask_errors(struct subject subject)
{
	static const struct advice advices[] = {
		{"NORMAL", MADV_NORMAL}, {"WILLNEED", MADV_WILLNEED}, {"DONTNEED", MADV_DONTNEED},
		{"REMOVE", MADV_REMOVE}, {"FREE", MADV_FREE}, {"none", 99},
	};
	for (size_t i = 0; i < COUNT(advices); i++) {
		char *memory = subject_make(subject);
		int advice = advices[i].value;

		tell("%s", advices[i].name);
		ask(madvise(memory + 1, PAGE, advice));
		ask(madvise(memory, 0, advice));
		ask(madvise(memory + 1, 0, advice));
		ask(madvise(memory, SIZE_MAX, advice));
		ask(madvise(memory, SIZE_MAX - PAGE + 1, advice));
		ask(madvise(apart(), PAGE, advice));
		must(munmap(memory + PAGE, PAGE) == 0);
		ask(madvise(memory, LENGTH(3), advice));
		ask(madvise(memory + PAGE, PAGE, advice));
		ask(madvise(memory + LENGTH(3), LENGTH(2), advice));
		if (advice != MADV_FREE) /* whenever there is need */
			tell("pages: %s", pages(memory, PAGES));
	}
}

static void ask_dontneed(struct subject subject)
{
	char *memory = subject_make(subject);

	memory[0] = 'x';
	memory[PAGE] = 'y';
	memory[LENGTH(2)] = 'z';
	tell("DONTNEED: %s", outcome(madvise(memory + PAGE, LENGTH(2), MADV_DONTNEED)));
	tell("pages: %s", pages(memory, PAGES));
	subject_tell_file();
	memory[PAGE] = 'w';
	tell("then: %s", pages(memory, PAGES));
	if (subject_fd >= 0) {
		must(pwrite(subject_fd, "N", 1, LENGTH(2)) == 1);
		tell("written: %s", outcome(madvise(memory, LENGTH(PAGES), MADV_DONTNEED)));
		tell("pages: %s", pages(memory, PAGES));
	}
	tell("by bytes: %s", outcome(madvise(memory, 1, MADV_DONTNEED)));
	tell("pages: %s, its end: %s", pages(memory, PAGES), look(memory + PAGE - 1));
	must(munmap(memory, LENGTH(PAGES)) == 0);
	subject_tell_file();
}

static void ask_dontneed_guarded(struct subject subject)
{
	char *memory = subject_make(subject);

	memory[0] = 'x';
	must(mprotect(memory, LENGTH(2), PROT_READ) == 0);
	tell("read-only: %s", outcome(madvise(memory, PAGE, MADV_DONTNEED)));
	tell("rights: %s, page: %s", rights(memory), look(memory));
	must(mlock(memory + LENGTH(2), PAGE) == 0);
	memory[LENGTH(2)] = 'y';
	tell("locked: %s", outcome(madvise(memory + LENGTH(2), PAGE, MADV_DONTNEED)));
	tell("DONTNEED_LOCKED: %s",
	     outcome(madvise(memory + LENGTH(2), PAGE, MADV_DONTNEED_LOCKED)));
	tell("pages: %s", pages(memory, PAGES));
	must(munlock(memory + LENGTH(2), PAGE) == 0);
}

/* What is freed is zero or still there, until it is stored to. */
static void ask_free(struct subject subject)
{
	char *memory = subject_make(subject);
	int result;

	memory[PAGE] = 'x';
	result = madvise(memory, LENGTH(2), MADV_FREE);
	tell("FREE: %s", outcome(result));
	must(memory[PAGE] == 'x' || memory[PAGE] == 0);
	memory[PAGE] = 'y';
	tell("then: %c, untouched: %s", memory[PAGE], pages(memory + LENGTH(2), 2));
	must(munmap(memory, LENGTH(PAGES)) == 0);
	subject_tell_file();
}

static void ask_remove(struct subject subject)
{
	char *memory = subject_make(subject);

	memory[0] = 'x';
	memory[LENGTH(3)] = 'y';
	tell("REMOVE: %s", outcome(madvise(memory + PAGE, LENGTH(2), MADV_REMOVE)));
	tell("pages: %s", pages(memory, PAGES));
	tell("whole: %d", is_of(memory + PAGE, 0));
	memory[PAGE] = 'z';
	must(msync(memory, LENGTH(PAGES), MS_SYNC) == 0);
	subject_tell_file();
	must(mprotect(memory, LENGTH(PAGES), PROT_READ) == 0);
	tell("read-only now: %s", outcome(madvise(memory, PAGE, MADV_REMOVE)));
	tell("pages: %s", pages(memory, PAGES));
	must(munmap(memory, LENGTH(PAGES)) == 0);
	subject_tell_file();
}

/* The second one sees what the first has removed. */
static void ask_removed_twice(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDWR, (long)LENGTH(PAGES));
	char *one = map(fd, LENGTH(PAGES), READ_WRITE, MAP_SHARED);
	char *two = map_from(fd, LENGTH(2), READ_WRITE, MAP_SHARED, PAGE);
	char *reader = map(mapping_again(O_RDONLY), LENGTH(PAGES), PROT_READ, MAP_SHARED);

	two[0] = 'x';
	must(msync(two, PAGE, MS_SYNC) == 0);
	tell("first: %s", pages(one, PAGES));
	ask(madvise(one + PAGE, PAGE, MADV_REMOVE));
	must(msync(two, LENGTH(2), MS_SYNC) == 0);
	tell("second: %s, reader: %s", pages(two, 2), pages(reader, PAGES));
	ask(madvise(reader, PAGE, MADV_REMOVE));
	tell("reader: %s", pages(reader, PAGES));
	must(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, LENGTH(2), PAGE) == 0);
	tell("first: %s, second: %s", pages(one, PAGES), pages(two, 2));
	ask(posix_madvise(one, PAGE, POSIX_MADV_DONTNEED));
	ask(posix_madvise(one, PAGE, POSIX_MADV_WILLNEED));
	tell("first: %s", pages(one, PAGES));
	tell("posix_madvise: %s", strerrorname_np(posix_madvise(one + 1, PAGE, 0)));
	tell("posix_madvise: %s", strerrorname_np(posix_madvise(one, PAGE, 99)));
	tell("posix_madvise: %s", strerrorname_np(posix_madvise(apart(), PAGE, 0)));
}

/* What is not to be inherited. Of plain memory nobody knows that but the kernel. */
static void ask_forks(struct subject subject)
{
	bool is_plain = subject.kind == MAPPING_KINDS && subject.sharing == MAP_PRIVATE;
	char *memory = subject_make(subject);
	const char *seen;

	memory[0] = 'x';
	for (int i = 0; i < 3; i++) {
		static const int advices[] = {MADV_DONTFORK, MADV_DOFORK, MADV_WIPEONFORK};
		int result = madvise(memory, PAGE, advices[i]);

		if (i == 0)
			must(madvise(memory + LENGTH(2), PAGE, MADV_DONTFORK) == 0);
		if (is_plain && advices[i] == MADV_WIPEONFORK)
			differs("MADV_WIPEONFORK of plain memory", "%s", outcome(result));
		else
			tell("%d: %s", i, outcome(result));
		seen = pages(memory, PAGES);
		if (is_plain)
			differs("what a child has of plain memory", "%s", seen);
		else
			tell("a child: %s", seen);
	}
	tell("KEEPONFORK: %s", outcome(madvise(memory, PAGE, MADV_KEEPONFORK)));
	tell("itself: %c", memory[0]);
}

/* For each question: of each kind, shared and private. */
#define BOTH(question)                                                                             \
	static void question##_both(enum mapping_kind kind)                                        \
	{                                                                                          \
		tell("shared");                                                                    \
		question((struct subject){kind, MAP_SHARED});                                      \
		tell("private");                                                                   \
		question((struct subject){kind, MAP_PRIVATE});                                     \
	}

BOTH(ask_hints)
BOTH(ask_merging)
BOTH(ask_errors)
BOTH(ask_dontneed)
BOTH(ask_dontneed_guarded)
BOTH(ask_free)
BOTH(ask_remove)
BOTH(ask_forks)

static const struct mapping_group groups[] = {
	{"hints", ask_hints_both}, {"merging", ask_merging_both}, {"errors", ask_errors_both},
	{"DONTNEED", ask_dontneed_both}, {"guarded", ask_dontneed_guarded_both},
	{"FREE", ask_free_both}, {"REMOVE", ask_remove_both}, {"forks", ask_forks_both},
	{NULL, NULL},
};

static const struct mapping_group of_files[] = {
	{"removed", ask_removed_twice},
	{NULL, NULL},
};

static void body(void)
{
	mapping_run(groups);
	mapping_run_once(groups);
	mapping_run(of_files);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
