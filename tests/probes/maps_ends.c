/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a file ends while it is mapped: the last page's rest, what lies beyond, and a size that
 * changes under the mapping, by this process and by another. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/probes/mapping.h"

enum { TAIL = 100 };

static const char *sharing_name(int sharing)
{
	return sharing == MAP_SHARED ? "shared" : "private";
}

static bool is_zero(const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return false;
	return true;
}

static void ask_tail_of(enum mapping_kind kind, int sharing)
{
	int fd = mapping_open(kind, O_RDWR, PAGE + TAIL);
	char *memory = map_apart(fd, 4 * PAGE, READ_WRITE, sharing);
	char rest[PAGE];

	tell("%s, pages: %s", sharing_name(sharing), pages(memory, 4));
	tell("last byte: %s, next: %s", look(memory + PAGE + TAIL - 1), look(memory + PAGE + TAIL));
	tell("the rest is zero: %d", is_zero(memory + PAGE + TAIL, PAGE - TAIL));
	tell("rights: %s %s", rights(memory + PAGE + TAIL), rights(memory + 2 * PAGE));
	memory[PAGE + TAIL] = 'x';
	memory[PAGE + TAIL - 1] = 'y';
	tell("stored: %s %s", look(memory + PAGE + TAIL - 1), look(memory + PAGE + TAIL));
	ask(msync(memory, 4 * PAGE, MS_SYNC));
	tell("size %ld, read %ld", size_of(fd), (long)pread(fd, rest, sizeof rest, PAGE));
	tell("in the file: %s %s", contents(fd, PAGE + TAIL - 1), contents(fd, PAGE + TAIL));
	ask(munmap(memory, 4 * PAGE));
	tell("size %ld", size_of(fd));
}

static void ask_tail(enum mapping_kind kind)
{
	ask_tail_of(kind, MAP_SHARED);
	ask_tail_of(kind, MAP_PRIVATE);
}

/* Nothing of the file is there. */
static void ask_nothing(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDWR, 0);
	char *memory = map_apart(fd, 2 * PAGE, READ_WRITE, MAP_SHARED);
	char *behind = map_from(fd, PAGE, READ_WRITE, MAP_SHARED, 5L * PAGE);
	char *private = map(fd, PAGE, READ_WRITE, MAP_PRIVATE);

	tell("empty: %s, behind: %s, private: %s", pages(memory, 2), look(behind), look(private));
	tell("rights: %s", rights(memory));
	ask(msync(memory, 2 * PAGE, MS_SYNC));
	ask(mprotect(memory, 2 * PAGE, PROT_READ));
	ask(mprotect(memory, 2 * PAGE, READ_WRITE));
	tell("size %ld", size_of(fd));
	ask(ftruncate(fd, 6L * PAGE));
	tell("then: %s, behind: %s, private: %s", pages(memory, 2), look(behind), look(private));
	*behind = 'b';
	ask(munmap(behind, PAGE));
	tell("in the file: %s", contents(fd, 5L * PAGE));
	ask(munmap(memory, 2 * PAGE));
	tell("size %ld", size_of(fd));
}

/* Who changes the size. */
struct resize {
	const char *by;
	int (*run)(int fd, off_t size);
};

struct resizing {
	int fd;
	off_t size;
};

static void resize_there(void *argument)
{
	struct resizing *resizing = argument;

	_exit(ftruncate(resizing->fd, resizing->size) == 0 ? 0 : 1);
}

static int by_child(int fd, off_t size)
{
	return in_child(resize_there, &(struct resizing){fd, size}) == 0 ? 0 : -1;
}

static int orders[2], answers[2];

/* A process that was there before anything was mapped. */
static void serve(void)
{
	struct resizing resizing;

	while (read(orders[0], &resizing, sizeof resizing) == (ssize_t)sizeof resizing) {
		char done = ftruncate(resizing.fd, resizing.size) == 0 ? 'y' : 'n';

		must(write(answers[1], &done, 1) == 1);
	}
	_exit(0);
}

static int by_another(int fd, off_t size)
{
	struct resizing resizing = {fd, size};
	char done = 'n';

	must(write(orders[1], &resizing, sizeof resizing) == (ssize_t)sizeof resizing);
	must(read(answers[0], &done, 1) == 1);
	return done == 'y' ? 0 : -1;
}

static void ask_sizes_of(const struct resize *resize, enum mapping_kind kind, int sharing)
{
	int fd = mapping_open(kind, O_RDWR, 3 * PAGE);
	pid_t server;
	char *memory;

	must(pipe(orders) == 0 && pipe(answers) == 0);
	server = fork();
	if (server == 0) {
		close(orders[1]);
		serve();
	}
	memory = map_apart(fd, 4 * PAGE, READ_WRITE, sharing);
	memory[0] = 'x';
	memory[PAGE] = 'y';
	tell("by %s, %s: %s", resize->by, sharing_name(sharing), pages(memory, 4));
	tell("to less: %s", outcome(resize->run(fd, TAIL)));
	tell("pages: %s", pages(memory, 4));
	tell("before the end: %s, behind it: %s", look(memory + TAIL - 1), look(memory + TAIL));
	ask(msync(memory, 4 * PAGE, MS_SYNC));
	tell("size %ld", size_of(fd));
	tell("to more: %s", outcome(resize->run(fd, 4 * PAGE)));
	tell("pages: %s", pages(memory, 4));
	tell("what was cut off: %s", look(memory + TAIL));
	memory[3 * PAGE] = 'z';
	ask(msync(memory, 4 * PAGE, MS_SYNC));
	tell("in the file: %s %s %s", contents(fd, 0), contents(fd, PAGE), contents(fd, 3 * PAGE));
	tell("to nothing: %s", outcome(resize->run(fd, 0)));
	tell("pages: %s", pages(memory, 4));
	ask(msync(memory, 4 * PAGE, MS_SYNC));
	ask(munmap(memory, 4 * PAGE));
	tell("size %ld", size_of(fd));
	close(orders[1]);
	tell("the other: %d", await_child(server));
}

static void ask_by(const char *by, int (*run)(int, off_t), enum mapping_kind kind)
{
	ask_sizes_of(&(struct resize){by, run}, kind, MAP_SHARED);
	ask_sizes_of(&(struct resize){by, run}, kind, MAP_PRIVATE);
}

static void ask_by_self(enum mapping_kind kind)
{
	ask_by("itself", ftruncate, kind);
}

static void ask_by_child(enum mapping_kind kind)
{
	ask_by("a child", by_child, kind);
}

static void ask_by_another(enum mapping_kind kind)
{
	ask_by("another", by_another, kind);
}

static int by_path(int fd, off_t size)
{
	(void)fd;
	return truncate(mapping_path(), size);
}

/* O_TRUNC, and then truncate, or ftruncate of a second descriptor, to what is wanted. */
static int by_opening(int fd, off_t size)
{
	int again = mapping_again(O_RDWR | O_TRUNC);
	int result = ftruncate(again, size);

	(void)fd;
	close(again);
	return result;
}

static int by_writing(int fd, off_t size)
{
	if (size < size_of(fd))
		return ftruncate(fd, size);
	return pwrite(fd, "w", 1, size - 1) == 1 ? 0 : -1;
}

static int by_allocating(int fd, off_t size)
{
	return size < size_of(fd) ? ftruncate(fd, size) : fallocate(fd, 0, 0, size);
}

static int by_posix_allocating(int fd, off_t size)
{
	return size < size_of(fd) ? ftruncate(fd, size) : -posix_fallocate(fd, 0, size);
}

static void ask_by_other_calls(enum mapping_kind kind)
{
	if (kind == MAPPING_FILE)
		ask_by("truncate", by_path, kind);
	ask_sizes_of(&(struct resize){"O_TRUNC", by_opening}, kind, MAP_SHARED);
	ask_by("write", by_writing, kind);
	ask_by("fallocate", by_allocating, kind);
	ask_by("posix_fallocate", by_posix_allocating, kind);
}

/* A private page goes with the file's, if only for a moment. */
static void ask_emptied(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDWR, 2 * PAGE);
	char *memory = map_apart(fd, 2 * PAGE, READ_WRITE, MAP_PRIVATE);

	memory[0] = 'x';
	must(by_opening(fd, 2 * PAGE) == 0);
	differs("a private page of a file that was emptied", "%s", look(memory));
	differs("a private page of a file that was emptied", "%s", look(memory + PAGE));
}

/* What was stored and then cut off by another must not come back by being brought to the file. */
static void ask_late(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDWR, 2 * PAGE);
	char *memory = map(fd, 2 * PAGE, READ_WRITE, MAP_SHARED);

	memory[10] = 'x';
	memory[PAGE] = 'y';
	must(by_child(fd, 5) == 0);
	ask(msync(memory, 2 * PAGE, MS_SYNC));
	tell("size %ld", size_of(fd));
	ask(munmap(memory, 2 * PAGE));
	tell("size %ld", size_of(fd));
	ask(ftruncate(fd, 2 * PAGE));
	tell("in the file: %s %s %s", contents(fd, 0), contents(fd, 10), contents(fd, PAGE));
}

/* Without a name, and without a descriptor. */
static void ask_removed(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDWR, PAGE);
	int reader = mapping_again(O_RDONLY);
	char *memory = map(fd, PAGE, READ_WRITE, MAP_SHARED);
	char *again;

	if (kind == MAPPING_FILE)
		ask(unlink(mapping_path()));
	if (kind == MAPPING_SEGMENT)
		ask(shm_unlink("/mapping"));
	close(fd);
	*memory = 'x';
	ask(msync(memory, PAGE, MS_SYNC));
	tell("in the file: %s", contents(reader, 0));
	again = map(reader, PAGE, PROT_READ, MAP_SHARED);
	tell("mapped again: %s", look(again));
	*memory = 'y';
	ask(munmap(memory, PAGE));
	tell("in the file: %s", contents(reader, 0));
}

static const struct mapping_group groups[] = {
	{"tail", ask_tail}, {"nothing", ask_nothing}, {"itself", ask_by_self},
	{"child", ask_by_child}, {"another", ask_by_another}, {"others", ask_by_other_calls},
	{"emptied", ask_emptied},
	{"late", ask_late}, {"removed", ask_removed}, {NULL, NULL},
};

static void body(void)
{
	mapping_run(groups);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
