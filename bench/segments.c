/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Segments from shm_open to shm_unlink: alone, by many at once, and among many. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/pairs.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { SIZE = 1 << 20, CLIENTS_MAX = 64 };

static int open_segment(const char *name, int flags)
{
	int fd = shm_open(name, O_RDWR | flags, 0600);

	if (fd < 0)
		die("shm_open");
	return fd;
}

static void map_and_touch(int fd)
{
	char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		die("mmap");
	*(volatile char *)memory = 1;
	if (munmap(memory, SIZE) < 0 || close(fd) < 0)
		die("munmap");
}

static void whole_life(long count)
{
	const char *name = own_name("");

	for (long i = 0; i < count; i++) {
		int fd = open_segment(name, O_CREAT | O_EXCL);

		if (ftruncate(fd, SIZE) < 0)
			die("ftruncate");
		map_and_touch(fd);
		if (shm_unlink(name) < 0)
			die("shm_unlink");
	}
}

static void make_one(long count)
{
	int fd = open_segment(own_name(""), O_CREAT | O_EXCL);

	(void)count;
	if (ftruncate(fd, SIZE) < 0)
		die("ftruncate");
	close(fd);
}

static void remove_one(long count)
{
	(void)count;
	shm_unlink(own_name(""));
}

static void attach(long count)
{
	const char *name = own_name("");

	for (long i = 0; i < count; i++)
		map_and_touch(open_segment(name, 0));
}

/* Clients that wait to be let go, all at once. */
static struct {
	pid_t pids[CLIENTS_MAX];
	int count;
	int go;
} clients;

static void serve_client(const int *with, long count)
{
	char byte;

	close(clients.go);
	whole_life(1);
	if (read(with[0], &byte, 1) != 0)
		die("go");
	whole_life(count);
}

static void start_clients(int number, long count)
{
	int ends[2];

	if (pipe(ends) < 0)
		die("pipe");
	clients.go = ends[1];
	clients.count = number;
	for (int i = 0; i < number; i++)
		clients.pids[i] = start(serve_client, ends, count / number + 1);
}

static void start_1(long count)
{
	start_clients(1, count);
}

static void start_8(long count)
{
	start_clients(8, count);
}

static void start_64(long count)
{
	start_clients(64, count);
}

static void let_go(long count)
{
	(void)count;
	close(clients.go);
	for (int i = 0; i < clients.count; i++)
		finish(clients.pids[i]);
}

static const char *numbered(long number)
{
	static char name[128];

	snprintf(name, sizeof name, "%s-%ld", own_name(""), number);
	return name;
}

static void make_many(long number)
{
	for (long i = 0; i < number; i++)
		close(open_segment(numbered(i), O_CREAT | O_EXCL));
}

static void remove_many(long number)
{
	for (long i = 0; i < number; i++)
		if (shm_unlink(numbered(i)) < 0)
			die("shm_unlink");
}

static void make_10(long count)
{
	(void)count;
	make_many(10);
}

static void remove_10(long count)
{
	(void)count;
	remove_many(10);
}

static void make_1000(long count)
{
	(void)count;
	make_many(1000);
}

static void remove_1000(long count)
{
	(void)count;
	remove_many(1000);
}

static long crowd(void)
{
	return is_quick() ? 2000 : 100000;
}

static void make_100000(long count)
{
	(void)count;
	make_many(crowd());
}

static void remove_100000(long count)
{
	(void)count;
	remove_many(crowd());
}

static const struct pairs_kind kinds[] = {
	{"life cycle of a segment, 1 MiB", whole_life, 5000,
	 .sides = "native, shmemu, memfd, mount"},
	{"attach", attach, 5000, make_one, remove_one, .sides = "native, shmemu, memfd, mount"},
	{"life cycles, 1 client", let_go, 5000, start_1, .cold = true},
	{"life cycles, 8 clients", let_go, 10000, start_8, .cold = true},
	{"life cycles, 64 clients", let_go, 20000, start_64, .cold = true},
	{"life cycle among 10", whole_life, 5000, make_10, remove_10},
	{"life cycle among 1,000", whole_life, 5000, make_1000, remove_1000},
	{"life cycle among 100,000", whole_life, 5000, make_100000, remove_100000,
	 .turns = 7},
};

int main(int argc, char **argv)
{
	const struct pairs pairs = {kinds, COUNT(kinds)};

	return pairs_main(&pairs, argc, argv);
}
