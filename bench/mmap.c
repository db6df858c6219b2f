/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the library costs calls that need nothing of it. Run by hand: bench/run. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/pairs.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { PAGE = 4096 };

/* A few pages each: 1, 2, 3, 4, 1, ... None is touched, so that the calls are all there is. */
static void map_and_unmap(long count)
{
	for (long i = 0; i < count; i++) {
		size_t size = (size_t)(1 + i % 4) * PAGE;
		void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (memory == MAP_FAILED || munmap(memory, size) < 0)
			die("mmap");
	}
}

/* As programs do that use what they ask for. */
static void map_touch_unmap(long count)
{
	for (long i = 0; i < count; i++) {
		size_t size = (size_t)(1 + i % 4) * PAGE;
		char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		                    -1, 0);

		if (memory == MAP_FAILED)
			die("mmap");
		*(volatile char *)memory = 1;
		if (munmap(memory, size) < 0)
			die("munmap");
	}
}

static int null_device(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("/dev/null");
	return fd;
}

static void read_bytes(long count)
{
	int fd = null_device();
	char byte;

	for (long i = 0; i < count; i++)
		if (read(fd, &byte, 1) != 0)
			die("read");
}

static void write_bytes(long count)
{
	int fd = null_device();

	for (long i = 0; i < count; i++)
		if (write(fd, "x", 1) != 1)
			die("write");
}

static void lock_and_unlock(long count)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

	for (long i = 0; i < count; i++)
		if (pthread_mutex_lock(&mutex) != 0 || pthread_mutex_unlock(&mutex) != 0)
			die("a mutex");
}

static void open_and_close(long count)
{
	for (long i = 0; i < count; i++)
		close(null_device());
}

static void change_protection(long count)
{
	char *memory = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (long i = 0; i < count; i++)
		if (mprotect(memory, PAGE, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE) < 0)
			die("mprotect");
}

/* What is mapped next to memory of the same kind joins it, which is another price: fills all gaps
 * in which that could be, so that it is the same with the library and without. */
static void part(void)
{
	for (int i = 0; i < 4096; i++)
		if (mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		    MAP_FAILED)
			die("a gap");
}

static const struct pairs_kind kinds[] = {
	{"mmap, munmap", map_and_unmap, 10000000},
	{"mmap, touch, munmap", map_touch_unmap, 2000000},
	{"mprotect", change_protection, 4000000},
	{"read of 1 byte", read_bytes, 10000000},
	{"write of 1 byte", write_bytes, 10000000},
	{"mutex lock, unlock", lock_and_unlock, 100000000},
	{"open, close", open_and_close, 2000000},
};

int main(int argc, char **argv)
{
	/* The processor's time, so that what else the machine does counts less. */
	const struct pairs pairs = {kinds, COUNT(kinds), CLOCK_PROCESS_CPUTIME_ID, part};

	return pairs_main(&pairs, argc, argv);
}
