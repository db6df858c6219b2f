/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the library costs calls that need nothing of it. Run by hand (bench/run): the program starts
 * itself again and again, in turn without and with the library, and compares each pair; what the
 * machine does besides falls on both. For each kind of call it prints the times of a call, the
 * median of the pairs' ratios, and between which two the middle half of them lies. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { PAGE = 4096, PAIRS_MAX = 101 };

static void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

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

/* How many of all together, over all pairs; a round does its part. */
static const struct kind {
	const char *name;
	void (*run)(long count);
	long count;
} kinds[] = {
	{"mmap, munmap", map_and_unmap, 10000000},
	{"mmap, touch, munmap", map_touch_unmap, 2000000},
	{"mprotect", change_protection, 4000000},
	{"read of 1 byte", read_bytes, 10000000},
	{"write of 1 byte", write_bytes, 10000000},
	{"mutex lock, unlock", lock_and_unlock, 100000000},
	{"open, close", open_and_close, 2000000},
};

/* Of the processor, so that what else the machine does counts less. */
static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The round itself, in a process of its own: prints the nanoseconds of a call. */
static int run_round(const char *name, const char *times)
{
	long count = atol(times);

	for (size_t i = 0; i < COUNT(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0) {
			double began;

			part();
			kinds[i].run(count / 100 + 1);
			began = seconds_now();
			kinds[i].run(count);
			printf("%.4f\n", (seconds_now() - began) * 1e9 / (double)count);
			return EXIT_SUCCESS;
		}
	return EXIT_FAILURE;
}

static double start_round(const char *library, const char *name, long count)
{
	char times[32], answer[64] = "";
	int ends[2];
	pid_t pid = -1;
	int status;

	snprintf(times, sizeof times, "%ld", count);
	if (pipe(ends) < 0 || (pid = fork()) < 0)
		die("a round");
	if (pid == 0) {
		if (library)
			setenv("LD_PRELOAD", library, 1);
		else
			unsetenv("LD_PRELOAD");
		dup2(ends[1], STDOUT_FILENO);
		execl("/proc/self/exe", "bench", "--round", name, times, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	for (size_t used = 0; used < sizeof answer - 1;) {
		ssize_t got = read(ends[0], answer + used, sizeof answer - 1 - used);

		if (got <= 0)
			break;
		used += (size_t)got;
	}
	close(ends[0]);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		die("a round failed");
	return atof(answer);
}

static int compare(const void *a, const void *b)
{
	double one = *(const double *)a, other = *(const double *)b;

	return (one > other) - (one < other);
}

static void measure(const char *library, const struct kind *kind, int pairs)
{
	double native[PAIRS_MAX], ours[PAIRS_MAX], ratio[PAIRS_MAX];
	long count = kind->count / pairs;

	for (int i = 0; i < pairs; i++) {
		/* Who begins changes, in case the machine gets slower or faster. */
		if (i % 2)
			ours[i] = start_round(library, kind->name, count);
		native[i] = start_round(NULL, kind->name, count);
		if (i % 2 == 0)
			ours[i] = start_round(library, kind->name, count);
		ratio[i] = ours[i] / native[i];
	}
	qsort(native, (size_t)pairs, sizeof native[0], compare);
	qsort(ours, (size_t)pairs, sizeof ours[0], compare);
	qsort(ratio, (size_t)pairs, sizeof ratio[0], compare);
	printf("%-20s %9ld %9.1f %9.1f   %6.3f   %.3f .. %.3f   %.3f .. %.3f\n", kind->name,
	       count * pairs, native[pairs / 2], ours[pairs / 2], ratio[pairs / 2],
	       ratio[pairs / 4], ratio[pairs - 1 - pairs / 4], ratio[0], ratio[pairs - 1]);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int pairs = argc > 2 ? atoi(argv[2]) : 21;

	if (argc == 4 && strcmp(argv[1], "--round") == 0)
		return run_round(argv[2], argv[3]);
	if (argc < 2 || pairs < 1 || pairs > PAIRS_MAX) {
		fprintf(stderr, "usage: bench LIBRARY [PAIRS [KIND]...]: up to %d PAIRS\n",
		        PAIRS_MAX);
		return 2;
	}
	printf("%-20s %9s %9s %9s   %6s   %14s   %14s\n", "ns of a call", "calls", "native",
	       "library", "ratio", "middle half", "all pairs");
	for (size_t i = 0; i < COUNT(kinds); i++) {
		int asked = argc <= 3;

		for (int j = 3; j < argc; j++)
			asked |= strstr(kinds[i].name, argv[j]) != NULL;
		if (asked)
			measure(argv[1], &kinds[i], pairs);
	}
	return EXIT_SUCCESS;
}
