/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mremap: smaller, larger, elsewhere, twice. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "tests/probes/subject.h"

/* Says where it is then: at the same place, there as asked, or elsewhere. */
static char *remap(const char *what, char *memory, size_t from, size_t to, int flags, char *there)
{
	char *now = mremap(memory, from, to, flags, there);

	if (now == MAP_FAILED) {
		tell("%s: %s", what, outcome(-1));
		return memory;
	}
	tell("%s: %s", what, now == memory ? "in place" : now == there ? "there" : "elsewhere");
	return now;
}

static void ask_smaller(struct subject subject)
{
	char *memory = subject_make(subject);
	char *now;

	memory[0] = 'x';
	memory[3 * PAGE] = 'y';
	now = remap("smaller", memory, LENGTH(4), LENGTH(2), 0, NULL);
	tell("pages: %s", pages(now, 4));
	subject_tell_file();
	now = remap("as large", now, LENGTH(2), LENGTH(2), 0, NULL);
	now = remap("by bytes", now, LENGTH(2), PAGE + 1, 0, NULL);
	tell("pages: %s", pages(now, 3));
	now[PAGE] = 'z';
	must(munmap(now, LENGTH(2)) == 0);
	subject_tell_file();
}

static void ask_larger(struct subject subject)
{
	char *memory = subject_make(subject);
	char *now;

	must(munmap(memory + 2 * PAGE, 2 * PAGE) == 0);
	now = remap("larger, room behind", memory, LENGTH(2), LENGTH(4), 0, NULL);
	tell("pages: %s", pages(now, 5));
	now[3 * PAGE] = 'y';
	must(munmap(now, LENGTH(4)) == 0);
	subject_tell_file();
	memory = subject_make(subject);
	now = remap("larger, no room", memory, LENGTH(2), LENGTH(4), 0, NULL);
	tell("pages: %s", pages(now, 4));
	now = remap("a part, moved", memory, LENGTH(2), LENGTH(6), MREMAP_MAYMOVE, NULL);
	tell("pages: %s, left: %s", pages(now, 6), pages(memory, 4));
	now[PAGE] = 'z';
	must(munmap(now, LENGTH(6)) == 0);
	must(munmap(memory + LENGTH(2), LENGTH(2)) == 0);
	subject_tell_file();
}

/* Beyond the file's end, and that grown then. */
static void ask_beyond(struct subject subject)
{
	char *memory = subject_make(subject);
	char *now = remap("to double", memory, LENGTH(4), LENGTH(8), MREMAP_MAYMOVE, NULL);

	tell("pages: %s", pages(now, 8));
	if (subject_fd < 0)
		return;
	must(ftruncate(subject_fd, 8L * PAGE) == 0);
	tell("pages: %s", pages(now, 8));
	now[7 * PAGE] = 'x';
	must(munmap(now, LENGTH(8)) == 0);
	tell("in the file: %s", contents(subject_fd, 7L * PAGE));
}

static void ask_fixed(struct subject subject)
{
	char *memory = subject_make(subject);
	char *there = apart();
	int fixed = MREMAP_MAYMOVE | MREMAP_FIXED;
	char *now;

	memory[PAGE] = 'x';
	remap("FIXED alone", memory, LENGTH(4), LENGTH(4), MREMAP_FIXED, there);
	remap("unaligned", memory, LENGTH(4), LENGTH(4), fixed, there + 1);
	remap("over itself", memory, LENGTH(4), LENGTH(4), fixed, memory);
	remap("over its end", memory, LENGTH(4), LENGTH(4), fixed, memory + 2 * PAGE);
	remap("over its beginning", memory, LENGTH(4), LENGTH(4), fixed, memory - 2 * PAGE);
	tell("pages: %s", pages(memory, 4));
	now = remap("there", memory, LENGTH(4), LENGTH(4), fixed, there);
	tell("pages: %s, left: %s", pages(now, 4), pages(memory, 4));
	there = map_apart(-1, LENGTH(6), READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	memset(there, '-', LENGTH(6));
	now = remap("over another, larger", now, LENGTH(4), LENGTH(5), fixed, there);
	tell("pages: %s", pages(there, 6));
	memory = now;
	now = remap("smaller, elsewhere", memory, LENGTH(5), LENGTH(2), fixed, apart());
	tell("pages: %s, left: %s", pages(now, 3), pages(memory, 6));
	now[0] = 'y';
	must(munmap(now, LENGTH(2)) == 0);
	subject_tell_file();
}

static void ask_part_moved(struct subject subject)
{
	char *memory = subject_make(subject);
	char *there = apart();
	char *now = remap("two in the middle", memory + PAGE, LENGTH(2), LENGTH(2),
	                  MREMAP_MAYMOVE | MREMAP_FIXED, there);

	tell("pages: %s, moved: %s", pages(memory, 4), pages(now, 3));
	now[0] = 'x';
	memory[3 * PAGE] = 'y';
	memory[0] = 'z';
	must(munmap(now, LENGTH(2)) == 0 && munmap(memory, LENGTH(4)) == 0);
	subject_tell_file();
}

static void ask_kept(struct subject subject)
{
	char *memory = subject_make(subject);
	int keep = MREMAP_DONTUNMAP | MREMAP_MAYMOVE;
	char *now;

	memory[0] = 'x';
	remap("DONTUNMAP alone", memory, LENGTH(4), LENGTH(4), MREMAP_DONTUNMAP, NULL);
	remap("DONTUNMAP, larger", memory, LENGTH(4), LENGTH(5), keep, NULL);
	remap("DONTUNMAP, smaller", memory, LENGTH(4), LENGTH(3), keep, NULL);
	now = remap("DONTUNMAP", memory, LENGTH(4), LENGTH(4), keep, NULL);
	tell("pages: %s, left: %s", pages(now, 4), pages(memory, 4));
	tell("rights: %s %s", rights(now), rights(memory));
	now[PAGE] = 'y';
	must(munmap(now, LENGTH(4)) == 0 && munmap(memory, LENGTH(4)) == 0);
	subject_tell_file();
	memory = subject_make(subject);
	now = remap("DONTUNMAP, there", memory, LENGTH(4), LENGTH(4), keep | MREMAP_FIXED, apart());
	tell("pages: %s, left: %s", pages(now, 4), pages(memory, 4));
}

/* From a size of 0: what is shared is then mapped twice. */
static void ask_doubled(struct subject subject)
{
	char *memory = subject_make(subject);
	char *now;

	memory[0] = 'x';
	remap("size 0, in place", memory, 0, LENGTH(2), 0, NULL);
	now = remap("size 0", memory, 0, LENGTH(3), MREMAP_MAYMOVE, NULL);
	tell("pages: %s, left: %s", pages(now, 3), pages(memory, 4));
	if (now == memory)
		return;
	now[PAGE] = 'y';
	must(msync(now, LENGTH(3), MS_SYNC) == 0);
	tell("left: %s", pages(memory, 4));
	memory[2 * PAGE] = 'z';
	must(msync(memory, LENGTH(4), MS_SYNC) == 0);
	tell("new: %s", pages(now, 3));
	must(munmap(memory, LENGTH(4)) == 0);
	tell("new: %s", pages(now, 3));
	memory = now;
	now = remap("size 0, from its second page", memory + PAGE, 0, LENGTH(2),
	            MREMAP_MAYMOVE | MREMAP_FIXED, apart());
	tell("pages: %s", pages(now, 2));
	subject_tell_file();
}

static void ask_errors(struct subject subject)
{
	char *memory = subject_make(subject);
	int move = MREMAP_MAYMOVE;

	remap("unaligned", memory + 1, LENGTH(1), LENGTH(2), move, NULL);
	remap("to nothing", memory, LENGTH(4), 0, move, NULL);
	remap("flag 8", memory, LENGTH(4), LENGTH(4), 8, NULL);
	remap("flag 16", memory, LENGTH(4), LENGTH(4), move | 16, NULL);
	remap("all flags", memory, LENGTH(4), LENGTH(4), -1, NULL);
	remap("far too large", memory, LENGTH(4), (size_t)1 << 62, move, NULL);
	remap("as large as can be", memory, LENGTH(4), SIZE_MAX, move, NULL);
	remap("too large", memory, LENGTH(4), (size_t)1 << 47, move, NULL);
	remap("nothing there", apart(), LENGTH(1), LENGTH(2), move, NULL);
	remap("nothing there, smaller", apart(), LENGTH(2), LENGTH(1), move, NULL);
	remap("beyond all", (char *)((uintptr_t)1 << 56), LENGTH(1), LENGTH(1), move, NULL);
	remap("there beyond all", memory, LENGTH(4), LENGTH(4), move | MREMAP_FIXED,
	      (char *)((uintptr_t)1 << 56));
	tell("pages: %s", pages(memory, 4));
	remap("more than is there", memory, LENGTH(6), LENGTH(8), move, NULL);
	must(munmap(memory + PAGE, PAGE) == 0);
	remap("over a hole", memory, LENGTH(4), LENGTH(5), move, NULL);
	tell("pages: %s", pages(memory, 4));
}

static void ask_protected(struct subject subject)
{
	char *memory = subject_make(subject);
	char *now;

	must(mprotect(memory, LENGTH(4), PROT_READ) == 0);
	now = remap("read-only", memory, LENGTH(4), LENGTH(4), MREMAP_MAYMOVE | MREMAP_FIXED,
	            apart());
	tell("rights: %s", rights(now));
	now = remap("larger", now, LENGTH(4), LENGTH(6), MREMAP_MAYMOVE, NULL);
	tell("rights: %s", rights(now));
	must(mprotect(now, LENGTH(2), READ_WRITE) == 0);
	now = remap("of two rights", now, LENGTH(6), LENGTH(8), MREMAP_MAYMOVE, NULL);
	tell("rights: %s %s", rights(now), rights(now + LENGTH(3)));
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

BOTH(ask_smaller)
BOTH(ask_larger)
BOTH(ask_beyond)
BOTH(ask_fixed)
BOTH(ask_part_moved)
BOTH(ask_kept)
BOTH(ask_doubled)
BOTH(ask_errors)
BOTH(ask_protected)

static const struct mapping_group groups[] = {
	{"smaller", ask_smaller_both}, {"larger", ask_larger_both}, {"beyond", ask_beyond_both},
	{"fixed", ask_fixed_both}, {"part", ask_part_moved_both}, {"kept", ask_kept_both},
	{"doubled", ask_doubled_both}, {"errors", ask_errors_both},
	{"rights", ask_protected_both}, {NULL, NULL},
};

static void body(void)
{
	mapping_run(groups);
	mapping_run_once(groups);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
