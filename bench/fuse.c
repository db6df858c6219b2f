/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The FUSE door alone, by plain programs, against libfuse's own example of a filesystem that passes
 * through (bench/example.py). What is looked at, opened and removed are files that the same round
 * has made. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/pairs.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define SIDES \
	"example, mount, direct, example hp, example modes, example uncached, example -s, native"

enum { FILES = 100, PAGE = 4096, MANY = 1 << 20 };

struct path {
	char text[160];
};

static struct path path_of(long number)
{
	struct path path;

	snprintf(path.text, sizeof path.text, "%s.%ld", own_name("/dev/shm"), number);
	return path;
}

static int open_file(long number, int flags)
{
	int fd = open(path_of(number).text, flags | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		die("open");
	return fd;
}

static void make(long count)
{
	for (long i = 0; i < count; i++)
		close(open_file(i, O_CREAT | O_EXCL));
}

static void take_away(long count)
{
	for (long i = 0; i < count; i++)
		if (unlink(path_of(i).text) < 0)
			die("unlink");
}

static void make_some(long count)
{
	(void)count;
	make(FILES);
}

static void take_some_away(long count)
{
	(void)count;
	take_away(FILES);
}

static void look(long count)
{
	struct stat status;

	for (long i = 0; i < count; i++)
		if (stat(path_of(i % FILES).text, &status) < 0)
			die("stat");
}

static void open_and_close(long count)
{
	for (long i = 0; i < count; i++)
		close(open_file(i % FILES, 0));
}

static void live(long count)
{
	struct stat status;

	for (long i = 0; i < count; i++) {
		close(open_file(0, O_CREAT | O_EXCL));
		if (stat(path_of(0).text, &status) < 0)
			die("stat");
		close(open_file(0, 0));
		take_away(1);
	}
}

static char bytes[MANY];
static int file = -1;

static void fill(long count)
{
	(void)count;
	file = open_file(0, O_CREAT | O_EXCL);
	if (pwrite(file, bytes, MANY, 0) != MANY)
		die("write");
}

static void clear(long count)
{
	(void)count;
	close(file);
	take_away(1);
}

static void write_size(long count, size_t size)
{
	while (count--)
		if (pwrite(file, bytes, size, 0) != (ssize_t)size)
			die("write");
}

static void read_size(long count, size_t size)
{
	while (count--)
		if (pread(file, bytes, size, 0) != (ssize_t)size)
			die("read");
}

static void write_page(long count)
{
	write_size(count, PAGE);
}

static void read_page(long count)
{
	read_size(count, PAGE);
}

static void write_many(long count)
{
	write_size(count, MANY);
}

static void read_many(long count)
{
	read_size(count, MANY);
}

static void map_and_touch(long count)
{
	while (count--) {
		char *at = mmap(NULL, MANY, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

		if (at == MAP_FAILED && errno == ENODEV)
			skip("no shared mappings there");
		if (at == MAP_FAILED)
			die("mmap");
		for (size_t i = 0; i < MANY; i += PAGE)
			((volatile char *)at)[i]++;
		munmap(at, MANY);
	}
}

static const struct pairs_kind kinds[] = {
	{"at a mount: create, close", make, 400, NULL, take_away, .cold = true, .sides = SIDES},
	{"at a mount: open, close", open_and_close, 1000, make_some, take_some_away,
	 .sides = SIDES},
	{"at a mount: stat", look, 10000, make_some, take_some_away, .sides = SIDES},
	{"at a mount: unlink", take_away, 400, make, NULL, .cold = true, .sides = SIDES},
	{"at a mount: a file's life", live, 400, .sides = SIDES},
	{"at a mount: write 4 KiB", write_page, 4000, fill, clear, .sides = SIDES},
	{"at a mount: read 4 KiB", read_page, 4000, fill, clear, .sides = SIDES},
	{"at a mount: write 1 MiB", write_many, 100, fill, clear, .sides = SIDES},
	{"at a mount: read 1 MiB", read_many, 100, fill, clear, .sides = SIDES},
	{"at a mount: map and touch 1 MiB", map_and_touch, 50, fill, clear, .sides = SIDES},
};

int main(int argc, char **argv)
{
	const struct pairs pairs = {kinds, COUNT(kinds), NULL};

	return pairs_main(&pairs, argc, argv);
}
