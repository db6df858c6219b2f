/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory that is shared, and what two processes do with it. */
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/pairs.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define GIB (1LL << 30)

enum { PAGE = 4096, STEADY = 65536, QUICK = 1024 };

static struct {
	int fd;
	char *memory;
	size_t size;
} segment;

/* Without a name, once it is mapped. */
static void map_segment(size_t size)
{
	const char *name = own_name("");
	int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);

	if (fd < 0 || shm_unlink(name) < 0 || ftruncate(fd, (off_t)size) < 0)
		die("shm_open");
	segment.memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (segment.memory == MAP_FAILED)
		die("mmap");
	segment.size = size;
	segment.fd = fd;
}

static void touch(long count)
{
	for (long i = 0; i < count; i++)
		((volatile char *)segment.memory)[i * PAGE] = 1;
}

/* The same memory just before: a virtual machine may have given what was free back to its host, and
 * then it is the host that takes the time. */
static void map_pages(long count)
{
	map_segment((size_t)count * PAGE);
	touch(count);
	if (ftruncate(segment.fd, 0) < 0 || ftruncate(segment.fd, (off_t)segment.size) < 0)
		die("ftruncate");
}

static void fill(size_t size)
{
	map_segment(size);
	memset(segment.memory, 1, size);
}

static void fill_steady(long count)
{
	(void)count;
	fill((size_t)(is_quick() ? QUICK : STEADY) * PAGE);
}

static char *page(long i)
{
	return segment.memory + (size_t)i * PAGE % segment.size;
}

static void write_pages(long count)
{
	for (long i = 0; i < count; i++)
		memset(page(i), (int)i, PAGE);
}

static void read_pages(long count)
{
	for (long i = 0; i < count; i++) {
		const uint64_t *words = (const uint64_t *)page(i);
		uint64_t sum = 0;

		for (size_t j = 0; j < PAGE / sizeof *words; j++)
			sum += words[j];
		if (sum == 0)
			die("what was written");
	}
}

static void fill_large(long count)
{
	(void)count;
	fill(is_quick() ? 64 << 20 : 4 * GIB);
}

/* Where the next is depends on what was found, so that none is had beforehand. */
static void look_around(long count)
{
	size_t lines = segment.size / 64;
	uint64_t random = 1;

	for (long i = 0; i < count; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		random += (uint64_t)((volatile char *)segment.memory)[(random >> 20) % lines * 64];
	}
}

/* Where they are is not left to chance. */
static void take_core(int number)
{
	cpu_set_t all, one;

	if (sched_getaffinity(0, sizeof all, &all) < 0)
		die("sched_getaffinity");
	number %= CPU_COUNT(&all);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all) && number-- == 0) {
			CPU_ZERO(&one);
			CPU_SET(i, &one);
			sched_setaffinity(0, sizeof one, &one);
			return;
		}
}

static atomic_int *words(void)
{
	return (atomic_int *)segment.memory;
}

static void wake(int which)
{
	atomic_store(&words()[which], 1);
	syscall(SYS_futex, &words()[which], FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void wait_for(int which)
{
	while (!atomic_exchange(&words()[which], 0))
		syscall(SYS_futex, &words()[which], FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void serve_futex(const int *with, long count)
{
	(void)with;
	take_core(1);
	for (long i = 0; i < count; i++) {
		wait_for(0);
		wake(1);
	}
}

static void ping_futex(long count)
{
	pid_t pid = start(serve_futex, NULL, count);

	for (long i = 0; i < count; i++) {
		wake(0);
		wait_for(1);
	}
	finish(pid);
}

static sem_t *ping, *pong;

static sem_t *make_semaphore(void)
{
	sem_t *made = sem_open(own_name(""), O_CREAT | O_EXCL, 0600, 0);

	if (made == SEM_FAILED || sem_unlink(own_name("")) < 0)
		die("sem_open");
	return made;
}

static void make_semaphores(long count)
{
	(void)count;
	ping = make_semaphore();
	pong = make_semaphore();
	take_core(0);
}

static void give_and_take(sem_t *given, sem_t *taken)
{
	if (sem_post(given) < 0 || sem_wait(taken) < 0)
		die("a semaphore");
}

static void serve_semaphore(const int *with, long count)
{
	(void)with;
	take_core(1);
	for (long i = 0; i < count; i++)
		if (sem_wait(ping) < 0 || sem_post(pong) < 0)
			die("a semaphore");
}

static void ping_semaphore(long count)
{
	pid_t pid = start(serve_semaphore, NULL, count);

	for (long i = 0; i < count; i++)
		give_and_take(ping, pong);
	finish(pid);
}

static void semaphore_alone(long count)
{
	for (long i = 0; i < count; i++)
		give_and_take(ping, ping);
}

static void map_words(long count)
{
	(void)count;
	map_segment(PAGE);
	take_core(0);
}

static const struct pairs_kind kinds[] = {
	{"first touch of 1 GiB, a page", touch, 262144, map_pages, .cold = true,
	 .sides = "native, shmemu, small pages, memfd, mount", .memory = 2 * GIB, .shm = GIB,
	 .processor = true},
	{"steady write of 256 MiB, a page", write_pages, 2 * STEADY, fill_steady,
	 .sides = "native, shmemu, small pages, memfd, mount", .memory = GIB, .shm = GIB / 4,
	 .processor = true},
	{"steady read of 256 MiB, a page", read_pages, 2 * STEADY, fill_steady,
	 .sides = "native, shmemu, small pages, memfd, mount", .memory = GIB, .shm = GIB / 4,
	 .processor = true},
	{"random access over 4 GiB", look_around, 2000000, fill_large,
	 .sides = "native, shmemu, small pages, memfd", .memory = 5 * GIB, .shm = 4 * GIB,
	 .processor = true, .turns = 11},
	{"ping-pong by futex", ping_futex, 10000, map_words, .sides = "native, shmemu, memfd"},
	{"ping-pong by semaphore", ping_semaphore, 10000, make_semaphores,
	 .sides = "native, shmemu, memfd"},
	{"sem_post, sem_wait, named", semaphore_alone, 2000000, make_semaphores,
	 .sides = "native, shmemu, memfd", .processor = true},
};

int main(int argc, char **argv)
{
	const struct pairs pairs = {kinds, COUNT(kinds)};

	return pairs_main(&pairs, argc, argv);
}
