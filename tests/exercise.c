/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Does random things to one file, and to a model of it in memory, and stops when they differ: after
 * fsx. Plain libc: it runs with the library and without, one process or several, which share the
 * model by a descriptor that they inherit.
 *
 * exercise MODE MODEL-FD FILE NUMBER COUNT OPERATIONS SEED [nomap]
 *   MODE   turns: one of COUNT processes at a time, which do all things
 *          ranges: all at once, each in its own part of the file, whose size stays
 *   FILE   "/NAME" of one slash is opened by shm_open, any other by open
 *   nomap  do not map the file: read and write in the place of that */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	SIZE_MAX_ = 512 << 10,
	LENGTH_MAX = 20000,
	LOG_LINES = 256,
	LOG_WIDTH = 100,
	TOLD = 60,
	PAGE = 4096,
};

/* In the memory that all share. */
struct model {
	atomic_int ready; /* its lock can be used */
	pthread_mutex_t lock;
	atomic_uint failed;
	atomic_uint logged;
	char log[LOG_LINES][LOG_WIDTH];
	size_t size;
	unsigned char bytes[SIZE_MAX_];
};

static struct {
	struct model *model;
	const char *file;
	unsigned number, count;
	bool in_turns;
	bool maps;
	uint64_t seed;
	uint64_t random;
	unsigned long done;
	int fd;
	unsigned char *memory; /* SIZE_MAX_ bytes of the file, or NULL */
} it;

static unsigned char buffer[LENGTH_MAX];

static unsigned choose(unsigned limit)
{
	it.random ^= it.random << 13;
	it.random ^= it.random >> 7;
	it.random ^= it.random << 17;
	return limit ? (unsigned)((it.random >> 11) % limit) : 0;
}

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void note(const char *format, ...)
{
	unsigned at = atomic_fetch_add(&it.model->logged, 1);
	char *line = it.model->log[at % LOG_LINES];
	int used = snprintf(line, LOG_WIDTH, "%u: process %u, %lu: ", at, it.number, it.done);
	va_list values;

	va_start(values, format);
	vsnprintf(line + used, LOG_WIDTH - (size_t)used, format, values);
	va_end(values);
}

static void tell_log(void)
{
	unsigned end = it.model->logged;

	for (unsigned at = end > TOLD ? end - TOLD : 0; at < end; at++)
		printf("  %s\n", it.model->log[at % LOG_LINES]);
}

static _Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

static _Noreturn void fail(const char *format, ...)
{
	int error = errno;
	va_list values;

	/* One of them tells. */
	if (atomic_exchange(&it.model->failed, 1) == 0) {
		printf("seed %lu, process %u, operation %lu: ", (unsigned long)it.seed, it.number,
		       it.done);
		va_start(values, format);
		vprintf(format, values);
		va_end(values);
		printf(" (errno %s); what came before:\n", strerrorname_np(error));
		tell_log();
		fflush(stdout);
	}
	_exit(EXIT_FAILURE);
}

static void check(const unsigned char *found, size_t offset, size_t length, const char *how)
{
	for (size_t i = 0; i < length; i++)
		if (found[i] != it.model->bytes[offset + i])
			fail("%s: byte %zu is %d, not %d", how, offset + i, found[i],
			     it.model->bytes[offset + i]);
}

static void check_size(void)
{
	struct stat status;

	if (fstat(it.fd, &status) < 0)
		fail("fstat");
	if ((size_t)status.st_size != it.model->size)
		fail("size %ld, not %zu", (long)status.st_size, it.model->size);
}

/* Some bytes, at most `limit`, behind `start`. */
struct span {
	size_t offset, length;
};

static size_t range_size(void)
{
	return SIZE_MAX_ / it.count;
}

static struct span span_in(size_t start, size_t size)
{
	struct span span = {start + choose((unsigned)size), 0};

	span.length = choose(LENGTH_MAX) + 1;
	if (choose(4) == 0)
		span.offset -= (span.offset - start) % PAGE;
	if (choose(4) == 0)
		span.length = choose(64) + 1;
	if (span.length > start + size - span.offset)
		span.length = start + size - span.offset;
	return span;
}

/* What is there. */
static struct span span_inside(void)
{
	if (!it.in_turns)
		return span_in(it.number * range_size(), range_size());
	return span_in(0, it.model->size);
}

/* What may be there then. */
static struct span span_anywhere(void)
{
	if (!it.in_turns)
		return span_inside();
	return span_in(0, SIZE_MAX_);
}

/* Sets the model's bytes, which may make it larger. */
static void set(struct span span, const unsigned char *bytes)
{
	if (bytes)
		memcpy(it.model->bytes + span.offset, bytes, span.length);
	else
		memset(it.model->bytes + span.offset, 0, span.length);
	if (span.offset + span.length > it.model->size)
		it.model->size = span.offset + span.length;
}

static void fill(size_t length)
{
	unsigned char first = (unsigned char)choose(256);

	for (size_t i = 0; i < length; i++)
		buffer[i] = (unsigned char)(first + i * 7);
}

static void unmap(void)
{
	if (it.memory)
		munmap(it.memory, SIZE_MAX_);
	it.memory = NULL;
}

/* All of it, whatever its size is now. */
static void map(void)
{
	if (it.memory)
		return;
	it.memory = mmap(NULL, SIZE_MAX_, PROT_READ | PROT_WRITE, MAP_SHARED, it.fd, 0);
	if (it.memory == MAP_FAILED)
		fail("mmap");
}

static void open_file(void)
{
	bool by_name = it.file[0] == '/' && !strchr(it.file + 1, '/');

	it.fd = by_name ? shm_open(it.file, O_RDWR, 0) : open(it.file, O_RDWR | O_CLOEXEC);
	if (it.fd < 0)
		fail("open %s", it.file);
}

static void do_read(void)
{
	struct span span = span_inside();

	note("read %zu at %zu", span.length, span.offset);
	if (pread(it.fd, buffer, span.length, (off_t)span.offset) != (ssize_t)span.length)
		fail("pread %zu at %zu", span.length, span.offset);
	check(buffer, span.offset, span.length, "read");
}

static void do_write(void)
{
	struct span span = span_anywhere();

	fill(span.length);
	note("write %zu at %zu", span.length, span.offset);
	if (pwrite(it.fd, buffer, span.length, (off_t)span.offset) != (ssize_t)span.length)
		fail("pwrite %zu at %zu", span.length, span.offset);
	set(span, buffer);
}

static void do_map_read(void)
{
	struct span span = span_inside();

	note("read %zu at %zu in memory", span.length, span.offset);
	map();
	check(it.memory + span.offset, span.offset, span.length, "memory");
}

static void do_map_write(void)
{
	struct span span = span_inside();

	fill(span.length);
	note("write %zu at %zu in memory", span.length, span.offset);
	map();
	memcpy(it.memory + span.offset, buffer, span.length);
	set(span, buffer);
	if (choose(4) == 0 && msync(it.memory, SIZE_MAX_, choose(2) ? MS_SYNC : MS_ASYNC) < 0 &&
	    errno != ENOMEM)
		fail("msync");
}

static void do_punch(void)
{
	struct span span = span_inside();

	if (span.length == 0)
		return;
	note("punch %zu at %zu", span.length, span.offset);
	if (fallocate(it.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)span.offset,
	              (off_t)span.length) < 0)
		fail("punch %zu at %zu", span.length, span.offset);
	set(span, NULL);
}

static void do_truncate(void)
{
	size_t size = choose(8) == 0 ? 0 : choose(SIZE_MAX_);

	if (choose(3) == 0)
		size -= size % PAGE;
	note("truncate to %zu", size);
	if (ftruncate(it.fd, (off_t)size) < 0)
		fail("ftruncate to %zu", size);
	if (size > it.model->size)
		set((struct span){it.model->size, size - it.model->size}, NULL);
	memset(it.model->bytes + size, 0, SIZE_MAX_ - size);
	it.model->size = size;
}

static void do_allocate(void)
{
	struct span span = span_anywhere();
	int mode = choose(2) ? FALLOC_FL_KEEP_SIZE : 0;

	note("allocate %zu at %zu, mode %d", span.length, span.offset, mode);
	if (fallocate(it.fd, mode, (off_t)span.offset, (off_t)span.length) < 0)
		fail("fallocate %zu at %zu", span.length, span.offset);
	if (mode == 0 && span.offset + span.length > it.model->size)
		it.model->size = span.offset + span.length;
}

static void do_reopen(void)
{
	note("open again");
	if (choose(2))
		unmap();
	close(it.fd);
	open_file();
}

static void do_sync(void)
{
	note("fsync");
	if (fsync(it.fd) < 0)
		fail("fsync");
}

static void do_check_all(void)
{
	size_t start = it.in_turns ? 0 : it.number * range_size();
	size_t size = it.in_turns ? it.model->size : range_size();

	note("all");
	check_size();
	for (size_t at = 0; at < size; at += LENGTH_MAX) {
		size_t length = size - at < LENGTH_MAX ? size - at : LENGTH_MAX;

		if (pread(it.fd, buffer, length, (off_t)(start + at)) != (ssize_t)length)
			fail("pread %zu at %zu", length, start + at);
		check(buffer, start + at, length, "all");
	}
	if (it.in_turns && pread(it.fd, buffer, 1, (off_t)size) != 0)
		fail("a byte beyond the end");
}

static const struct {
	unsigned share; /* of 100 */
	bool in_ranges; /* it leaves the size alone */
	bool maps;
	void (*perform)(void);
	void (*instead)(void); /* where the file is not mapped */
} operations[] = {
	{20, true, false, do_read, NULL},
	{20, true, false, do_write, NULL},
	{18, true, true, do_map_read, do_read},
	{18, true, true, do_map_write, do_write},
	{7, true, false, do_punch, NULL},
	{7, false, false, do_truncate, NULL},
	{4, false, false, do_allocate, NULL},
	{3, true, false, do_reopen, NULL},
	{1, true, false, do_sync, NULL},
	{2, true, false, do_check_all, NULL},
};

static void perform_one(void)
{
	unsigned chosen = choose(100);
	size_t which = 0;

	while (chosen >= operations[which].share)
		chosen -= operations[which++].share;
	if (!it.in_turns && !operations[which].in_ranges)
		do_check_all();
	else if (operations[which].maps && !it.maps)
		operations[which].instead();
	else
		operations[which].perform();
}

/* The first makes the lock; it is robust, so that who dies with it does not stop the rest. */
static void share_model(int fd)
{
	pthread_mutexattr_t kind;
	int expected = 0;

	it.model = mmap(NULL, sizeof *it.model, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (it.model == MAP_FAILED) {
		perror("the model");
		exit(EXIT_FAILURE);
	}
	if (atomic_compare_exchange_strong(&it.model->ready, &expected, 1)) {
		pthread_mutexattr_init(&kind);
		pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
		pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
		pthread_mutex_init(&it.model->lock, &kind);
		it.model->size = it.in_turns ? 0 : SIZE_MAX_;
		it.model->ready = 2;
	}
	while (it.model->ready != 2)
		usleep(1000);
}

static void perform_all(unsigned long count)
{
	for (it.done = 0; it.done < count && !it.model->failed; it.done++) {
		if (it.in_turns && pthread_mutex_lock(&it.model->lock) != 0)
			fail("another one died");
		perform_one();
		if (it.in_turns)
			pthread_mutex_unlock(&it.model->lock);
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "size") == 0) {
		printf("%zu %d\n", sizeof(struct model), SIZE_MAX_);
		return EXIT_SUCCESS;
	}
	if (argc < 8) {
		fprintf(stderr, "usage: exercise MODE MODEL-FD FILE NUMBER COUNT OPERATIONS SEED "
		                "[nomap]\n");
		return EXIT_FAILURE;
	}
	it.in_turns = strcmp(argv[1], "turns") == 0;
	it.file = argv[3];
	it.number = (unsigned)atoi(argv[4]);
	it.count = (unsigned)atoi(argv[5]);
	it.seed = strtoull(argv[7], NULL, 10);
	it.random = (it.seed + 1) * 0x9e3779b97f4a7c15ULL + it.number;
	it.maps = argc < 9;
	share_model(atoi(argv[2]));
	open_file();
	perform_all(strtoul(argv[6], NULL, 10));
	unmap();
	close(it.fd);
	return it.model->failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
