/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs that close everything, or put files of their own everywhere, as daemons and shells do,
 * and go on with the memory that they have mapped. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/probes/probe.h"

#define NAME "/talks-close"

enum { SIZE = 2 * 4096, NUMBERS = 1024, RACES = 5 };

static volatile long *words;  /* of the segment */
static volatile long *nobodys; /* of no file */

static volatile long *map_by_name(void)
{
	int fd = shm_open(NAME, O_RDWR, 0);
	void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	must(fd >= 0 && memory != MAP_FAILED && close(fd) == 0);
	return memory;
}

static void close_each(void)
{
	int wrong = 0;

	for (int fd = 3; fd < NUMBERS; fd++)
		wrong += close(fd) != 0 && errno != EBADF;
	must(wrong == 0);
}

static void close_a_range(void)
{
	must(close_range(3, ~0U, 0) == 0);
}

static void close_two_ranges(void)
{
	must(close_range(500, ~0U, 0) == 0);
	must(close_range(3, 499, 0) == 0);
}

static void close_on_exec(void)
{
	must(close_range(3, ~0U, (int)CLOSE_RANGE_CLOEXEC) == 0);
}

static void close_unshared(void)
{
	must(close_range(3, ~0U, CLOSE_RANGE_UNSHARE) == 0);
}

static void close_from(void)
{
	closefrom(3);
}

/* Those that it finds. */
static void close_listed(void)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;

	must(folder != NULL);
	while ((entry = readdir(folder))) {
		int fd = atoi(entry->d_name);

		if (fd > 2 && fd != dirfd(folder))
			close(fd);
	}
	closedir(folder);
}

static void put_everywhere(bool by_dup3)
{
	int null = open("/dev/null", O_RDWR);
	int wrong = 0;

	must(null >= 0);
	for (int fd = 3; fd < NUMBERS; fd++)
		if (fd != null)
			wrong += (by_dup3 ? dup3(null, fd, O_CLOEXEC) : dup2(null, fd)) != fd;
	for (int fd = 3; fd < NUMBERS; fd++)
		wrong += write(fd, "x", 1) != 1;
	for (int fd = 3; fd < NUMBERS; fd++)
		wrong += close(fd) != 0;
	say("numbers: %d wrong", wrong);
}

static void put_by_dup2(void)
{
	put_everywhere(false);
}

static void put_by_dup3(void)
{
	put_everywhere(true);
}

static void put(long value)
{
	words[1000] = words[0] = value;
	nobodys[1000] = nobodys[0] = value;
}

static bool is_there(long value)
{
	return words[0] == value && words[1000] == value && nobodys[0] == value &&
	       nobodys[1000] == value;
}

static void answer(void *ignored)
{
	(void)ignored;
	must(is_there(1));
	put(2);
}

/* What is mapped goes on as it was, and more can be mapped. */
static void use(void)
{
	volatile long *again;

	put(1);
	must(in_child(answer, NULL) == 0);
	say("a child: %d", is_there(2));
	again = map_by_name();
	say("once more: %d", again[0] == 2 && again[1000] == 2);
	again[5] = 55;
	must(msync((void *)(uintptr_t)again, SIZE, MS_SYNC) == 0);
	say("both: %d", words[5] == 55);
	must(munmap((void *)(uintptr_t)again, SIZE) == 0);
	put(3);
}

static void close_and_use(void *close_all)
{
	void (*const *function)(void) = close_all;

	(*function)();
	use();
}

static void close_twice_and_use(void *close_all)
{
	void (*const *function)(void) = close_all;

	words = map_by_name();
	(*function)();
	put(10);
	(*function)();
	use();
}

static void ask(const char *what, void (*close_all)(void))
{
	say("%s:", what);
	words[5] = 0;
	must(in_child(close_and_use, &close_all) == 0);
	say("what is left: %d", is_there(3));
	words[5] = 0;
	must(in_child(close_twice_and_use, &close_all) == 0);
	say("what is left: %d", is_there(3));
}

static atomic_bool enough;

static void *write_on(void *ignored)
{
	long wrong = 0, i = 0;

	(void)ignored;
	do {
		words[8] = ++i;
		wrong += msync((void *)(uintptr_t)words, SIZE, MS_SYNC) != 0;
		wrong += words[8] != i;
	} while (!enough);
	return (void *)wrong;
}

/* One thread's files land on all numbers, again and again, while another uses memory. */
static void race(void *ignored)
{
	int null = open("/dev/null", O_RDWR);
	pthread_t writer;
	void *writes;
	long wrong = 0;

	(void)ignored;
	must(pthread_create(&writer, NULL, write_on, NULL) == 0);
	for (int i = 0; i < RACES; i++) {
		for (int fd = null + 1; fd < NUMBERS; fd++)
			wrong += dup2(null, fd) != fd;
		for (int fd = null + 1; fd < NUMBERS; fd++)
			wrong += close(fd) != 0;
	}
	enough = true;
	must(pthread_join(writer, &writes) == 0);
	say("among threads: %ld wrong, %ld", wrong, (long)writes);
}

static void body(void)
{
	struct rlimit limit;
	int fd = make_segment(NAME, 0600, SIZE);

	/* More numbers than are used here. */
	must(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max < 2 * NUMBERS ? limit.rlim_max : 2 * NUMBERS;
	must(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	words = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	nobodys = shared_memory(SIZE);
	must(words != MAP_FAILED);
	close(fd);
	ask("close", close_each);
	ask("close_range", close_a_range);
	ask("two of them", close_two_ranges);
	ask("close-on-exec", close_on_exec);
	ask("unshared", close_unshared);
	ask("closefrom", close_from);
	ask("those that are listed", close_listed);
	ask("dup2", put_by_dup2);
	ask("dup3", put_by_dup3);
	say("the end: %d", in_child(race, NULL));
	say("after it: %d", words[8] > 0);
	shm_unlink(NAME);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
