/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the library costs calls that need nothing of it. Run by hand: bench/run mmap. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
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

/* Some file of somebody's. */
static const char *file(void)
{
	static const char *name;

	if (name == NULL) {
		int fd;

		name = own_name("/tmp");
		fd = open(name, O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			die(name);
		close(fd);
	}
	return name;
}

static void remove_file(long count)
{
	(void)count;
	unlink(file());
}

static void open_and_close_file(long count)
{
	for (long i = 0; i < count; i++) {
		int fd = open(file(), O_RDONLY | O_CLOEXEC);

		if (fd < 0 || close(fd) < 0)
			die(file());
	}
}

static void look_at_file(long count)
{
	struct stat found;

	for (long i = 0; i < count; i++)
		if (stat(file(), &found) < 0)
			die(file());
}

static void copy_and_close(long count)
{
	int fd = null_device();

	for (long i = 0; i < count; i++)
		if (close(dup(fd)) < 0)
			die("close");
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
	{"mmap, munmap", map_and_unmap, 500000, .processor = true},
	{"mmap, touch, munmap", map_touch_unmap, 100000, .processor = true},
	{"mprotect", change_protection, 200000, .processor = true},
	{"read of 1 byte", read_bytes, 500000, .processor = true},
	{"write of 1 byte", write_bytes, 500000, .processor = true},
	{"mutex lock, unlock", lock_and_unlock, 5000000, .processor = true},
	{"open, close of /dev/null", open_and_close, 100000, .processor = true},
	{"open, close of /tmp/x", open_and_close_file, 100000, .after = remove_file,
	 .processor = true},
	{"stat of /tmp/x", look_at_file, 200000, .after = remove_file,
	 .processor = true},
	{"dup, close", copy_and_close, 500000, .processor = true},
};

int main(int argc, char **argv)
{
	const struct pairs pairs = {kinds, COUNT(kinds), part};

	return pairs_main(&pairs, argc, argv);
}
