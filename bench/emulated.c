/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What mappings cost that the library emulates, where the host has none that are shared. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/pairs.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define SIDES "native, emulated"

enum { PAGE = 4096, PAGES = 256, SIZE = PAGES * PAGE };

static int fd;
static char *memory;

static char *map(void)
{
	char *mapped = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (mapped == MAP_FAILED)
		die("mmap");
	return mapped;
}

/* With something in each page, and without a name. */
static void make(long count)
{
	const char *name = own_name("");

	(void)count;
	fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || shm_unlink(name) < 0 || ftruncate(fd, SIZE) < 0)
		die("shm_open");
	for (int i = 0; i < PAGES; i++)
		if (pwrite(fd, "x", 1, i * PAGE) != 1)
			die("pwrite");
}

static void make_and_map(long count)
{
	make(count);
	memory = map();
	memset(memory, 1, SIZE);
	msync(memory, SIZE, MS_SYNC);
}

static void map_and_unmap(long count)
{
	for (long i = 0; i < count; i++)
		if (munmap(map(), SIZE) < 0)
			die("munmap");
}

/* Calls one mapping of so many pages as many. */
static void map_and_read(long count)
{
	for (long i = 0; i < count; i += PAGES) {
		char *mapped = map();

		for (int j = 0; j < PAGES; j++)
			if (((volatile char *)mapped)[j * PAGE] != 'x')
				die("what is mapped");
		if (munmap(mapped, SIZE) < 0)
			die("munmap");
	}
}

static void synchronize(void)
{
	if (msync(memory, SIZE, MS_SYNC) < 0)
		die("msync");
}

static void sync_nothing(long count)
{
	for (long i = 0; i < count; i++)
		synchronize();
}

static void sync_byte(long count)
{
	for (long i = 0; i < count; i++) {
		memory[i % SIZE]++;
		synchronize();
	}
}

static void sync_page(long count)
{
	for (long i = 0; i < count; i += PAGES) {
		for (int j = 0; j < PAGES; j++)
			memory[j * PAGE]++;
		synchronize();
	}
}

static void sync_all(long count)
{
	for (long i = 0; i < count; i += SIZE) {
		for (int j = 0; j < SIZE; j++)
			memory[j]++;
		synchronize();
	}
}

static const struct pairs_kind kinds[] = {
	{"map, unmap 1 MiB", map_and_unmap, 1000, make, .sides = SIDES},
	{"map 1 MiB, read; a page", map_and_read, 400 * PAGES, make, .sides = SIDES},
	{"msync of 1 MiB, no change", sync_nothing, 2000, make_and_map, .sides = SIDES},
	{"msync of 1 MiB, a byte changed", sync_byte, 1000, make_and_map, .sides = SIDES},
	{"msync of a byte in each page; a page", sync_page, 200 * PAGES, make_and_map,
	 .sides = SIDES},
	{"msync of all changed; a byte", sync_all, 50 * SIZE, make_and_map, .sides = SIDES},
};

int main(int argc, char **argv)
{
	const struct pairs pairs = {kinds, COUNT(kinds)};

	return pairs_main(&pairs, argc, argv);
}
