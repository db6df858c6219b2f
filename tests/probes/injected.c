/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Some hundred calls of mmap and its kin, any of which may fail: what fails must say so by an errno
 * of its man page, leave everything as it was, and work when it is made again. At the end nothing
 * is left mapped or open. Prints what it counted, and what was wrong: exit status 1.
 *
 *     injected                 what fails works at last
 *     injected descriptors N   there are N at most, so that calls may go on failing
 *     injected memory N        there are N KiB more than at the beginning, likewise */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 8, SIZE = PAGES * PAGE, ROUNDS = 220, TRIES = 60, LISTED_MAX = 16 };

enum call {
	MMAP, MUNMAP, MSYNC, MREMAP, MADVISE, MPROTECT, FTRUNCATE, FALLOCATE, MEMFD_CREATE,
	CALL_COUNT,
};

static const struct {
	const char *name;
	int listed[LISTED_MAX];
} calls[CALL_COUNT] = {
	[MMAP] = {"mmap", {EACCES, EAGAIN, EBADF, EEXIST, EINVAL, ENFILE, ENODEV, ENOMEM, EOVERFLOW,
	                   EPERM, ETXTBSY}},
	[MUNMAP] = {"munmap", {EINVAL, ENOMEM}},
	[MSYNC] = {"msync", {EBUSY, EINVAL, ENOMEM}},
	[MREMAP] = {"mremap", {EAGAIN, EFAULT, EINVAL, ENOMEM}},
	[MADVISE] = {"madvise", {EACCES, EAGAIN, EBADF, EBUSY, EFAULT, EINVAL, EIO, ENOMEM, EPERM}},
	[MPROTECT] = {"mprotect", {EACCES, EINVAL, ENOMEM}},
	[FTRUNCATE] = {"ftruncate", {EACCES, EBADF, EFBIG, EINTR, EINVAL, EIO, EISDIR, ELOOP, EPERM,
	                             EROFS, ETXTBSY}},
	[FALLOCATE] = {"fallocate", {EBADF, EFBIG, EINTR, EINVAL, EIO, ENODEV, ENOSPC, EOPNOTSUPP,
	                             EPERM, ESPIPE, ETXTBSY}},
	[MEMFD_CREATE] = {"memfd_create", {EFAULT, EINVAL, EMFILE, ENFILE, ENOMEM, EPERM}},
};

static unsigned made[CALL_COUNT], failed[CALL_COUNT];
static bool squeezed;
static unsigned left_out; /* rounds that could not be gone through, when squeezed */
static int wrong;
static unsigned long random_state = 1;

static unsigned char wanted[SIZE]; /* what the file has */
static unsigned char found[SIZE];

static void complain(const char *what, long number)
{
	printf("WRONG: round %u of mmap: %s (%ld)\n", made[MMAP], what, number);
	wrong++;
}

static bool is_listed(enum call call, int error)
{
	for (int i = 0; i < LISTED_MAX && calls[call].listed[i]; i++)
		if (calls[call].listed[i] == error)
			return true;
	return false;
}

/* Notes how a call went: `error` is 0 or its errno. Returns whether to try again. */
static bool again(enum call call, int error, int tries)
{
	made[call]++;
	if (!error)
		return false;
	failed[call]++;
	if (!is_listed(call, error)) {
		printf("WRONG: %s: %s is none of its errors\n", calls[call].name,
		       strerrorname_np(error) ? strerrorname_np(error) : "?");
		wrong++;
	}
	if (tries < (squeezed ? 2 : TRIES))
		return true;
	if (!squeezed)
		complain("it goes on failing", call);
	return false;
}

/* Makes a call until it works, or is given up: its result. */
#define MAKE(call, type, bad, expression) \
	__extension__ ({ \
		type made_result; \
		int made_tries = 0; \
\
		do { \
			errno = 0; \
			made_result = (expression); \
		} while (again(call, made_result == (bad) ? errno : 0, made_tries++)); \
		made_result; \
	})
#define MAKE_INT(call, expression) MAKE(call, int, -1, expression)
#define MAKE_MAP(call, expression) MAKE(call, unsigned char *, MAP_FAILED, expression)

static unsigned random_below(unsigned limit)
{
	random_state = random_state * 6364136223846793005UL + 1442695040888963407UL;
	return (unsigned)(random_state >> 33) % limit;
}

static void change(unsigned char *memory, size_t size)
{
	for (int i = 0; i < 20; i++) {
		size_t at = random_below((unsigned)size);

		memory[at] = (unsigned char)(1 + random_below(255));
	}
}

static void unmap(unsigned char *memory, size_t size)
{
	if (memory != MAP_FAILED && MAKE_INT(MUNMAP, munmap(memory, size)) < 0 && !squeezed)
		complain("munmap", (long)size);
}

static void check_memory(const char *what, const unsigned char *memory, size_t from, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (memory[i] != wanted[from + i]) {
			complain(what, (long)i);
			return;
		}
}

static void check_file(const char *what, int fd, size_t size)
{
	struct stat status = {.st_size = -1};
	ssize_t got;

	if (fstat(fd, &status) < 0 || status.st_size != (off_t)size)
		complain("size", (long)status.st_size);
	got = pread(fd, found, sizeof found, 0);
	if (got != (ssize_t)size)
		complain("pread", got);
	else if (memcmp(found, wanted, size) != 0)
		complain(what, 0);
}

static const char *path(void)
{
	static char text[PATH_MAX];
	const char *top = getenv("TMPDIR");

	snprintf(text, sizeof text, "%s/injected-%d", top ? top : "/tmp", (int)getpid());
	return text;
}

/* A segment, a plain file, a memfd. */
static int open_file(unsigned kind)
{
	char name[64];
	int fd;

	if (kind == 0) {
		snprintf(name, sizeof name, "/injected-%d", (int)getpid());
		fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
		shm_unlink(name);
	} else if (kind == 1) {
		fd = open(path(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		unlink(path());
	} else {
		fd = MAKE_INT(MEMFD_CREATE, memfd_create("injected", MFD_CLOEXEC));
	}
	if (fd < 0 && !squeezed)
		complain("there is no file", (long)kind);
	return fd;
}

/* Sizes. Returns whether the file is SIZE bytes long now. */
static bool size_file(int fd, unsigned round)
{
	size_t small = PAGE + random_below(PAGE);
	int result;

	memset(wanted, 0, sizeof wanted);
	if (MAKE_INT(FTRUNCATE, ftruncate(fd, (off_t)small)) < 0)
		return false;
	memset(wanted, 'w', small);
	if (pwrite(fd, wanted, small, 0) != (ssize_t)small)
		return false;
	if (round % 2)
		result = MAKE_INT(FALLOCATE, fallocate(fd, 0, 0, SIZE));
	else
		result = MAKE_INT(FALLOCATE, (errno = posix_fallocate(fd, 100, SIZE - 100)) ? -1
		                                                                             : 0);
	if (result < 0)
		return false;
	check_file("after fallocate", fd, SIZE);
	result = MAKE_INT(FALLOCATE, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 50,
	                                       PAGE));
	if (result == 0)
		memset(wanted + 50, 0, PAGE);
	check_file("after a hole", fd, SIZE);
	return true;
}

/* What is done to one shared mapping of the whole file. Returns where it is then. */
static unsigned char *use_mapping(int fd, unsigned char *memory)
{
	size_t page = random_below(PAGES);
	unsigned char *moved;

	check_memory("when mapped", memory, 0, SIZE);
	change(memory, SIZE);
	memcpy(wanted, memory, SIZE);
	if (MAKE_INT(MSYNC, msync(memory, SIZE, page % 2 ? MS_SYNC : MS_ASYNC)) == 0 && page % 2)
		check_file("after msync", fd, SIZE);
	if (MAKE_INT(MPROTECT, mprotect(memory + page * PAGE, PAGE, PROT_READ)) == 0) {
		check_memory("read only", memory, 0, SIZE);
		if (MAKE_INT(MPROTECT, mprotect(memory + page * PAGE, PAGE,
		                                PROT_READ | PROT_WRITE)) < 0)
			return memory; /* the rest would be a SIGSEGV */
	}
	MAKE_INT(MADVISE, madvise(memory, SIZE, MADV_WILLNEED));
	MAKE_INT(MADVISE, madvise(memory + page * PAGE, PAGE, MADV_DONTNEED));
	check_memory("after madvise", memory, 0, SIZE);
	change(memory, SIZE);
	memcpy(wanted, memory, SIZE);
	moved = MAKE_MAP(MREMAP, mremap(memory, SIZE, SIZE / 2, 0));
	if (moved == MAP_FAILED)
		return memory;
	moved = MAKE_MAP(MREMAP, mremap(memory, SIZE / 2, SIZE, MREMAP_MAYMOVE));
	if (moved == MAP_FAILED) {
		unmap(memory, SIZE / 2);
		return MAP_FAILED;
	}
	check_memory("after mremap", moved, 0, SIZE);
	change(moved, SIZE);
	memcpy(wanted, moved, SIZE);
	return moved;
}

/* In two mappings, one of which comes apart. */
static void use_file(int fd)
{
	unsigned char *memory = MAKE_MAP(MMAP, mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
	                                            fd, 0));
	unsigned char *other;
	size_t page = 1 + random_below(PAGES - 2);

	if (memory == MAP_FAILED)
		return;
	memory = use_mapping(fd, memory);
	if (memory == MAP_FAILED)
		return;
	other = MAKE_MAP(MMAP, mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
	                            (off_t)page * PAGE));
	if (other != MAP_FAILED) {
		check_memory("a private mapping", other, page * PAGE, PAGE);
		memset(other, 'p', PAGE);
		if (MAKE_INT(MADVISE, madvise(other, PAGE, MADV_DONTNEED)) == 0)
			check_memory("a private mapping anew", other, page * PAGE, PAGE);
		unmap(other, PAGE);
	}
	if (MAKE_INT(MUNMAP, munmap(memory + page * PAGE, PAGE)) < 0) {
		unmap(memory, SIZE);
		return;
	}
	change(memory, page * PAGE);
	memcpy(wanted, memory, page * PAGE);
	check_memory("what is left", memory + (page + 1) * PAGE, (page + 1) * PAGE,
	             (PAGES - page - 1) * PAGE);
	unmap(memory, page * PAGE);
	unmap(memory + (page + 1) * PAGE, (PAGES - page - 1) * PAGE);
	check_file("after munmap", fd, SIZE);
}

/* Memory without a file, private and shared. */
static void use_memory(unsigned round)
{
	unsigned char *memory = MAKE_MAP(MMAP, mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
	                                            MAP_ANONYMOUS | MAP_PRIVATE, -1, 0));
	unsigned char *shared = MAKE_MAP(MMAP, mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
	                                            MAP_ANONYMOUS | MAP_SHARED, -1, 0));
	pid_t child = -1;

	if (memory != MAP_FAILED) {
		memset(memory, 'm', SIZE);
		if (MAKE_INT(MADVISE, madvise(memory, PAGE, MADV_DONTNEED)) == 0 && memory[5])
			complain("DONTNEED", memory[5]);
	}
	if (shared != MAP_FAILED) {
		shared[PAGE] = 's';
		if (round % 16 == 0)
			child = fork();
		if (child == 0) {
			shared[PAGE + 1] = shared[PAGE];
			_exit(0);
		}
		if (child > 0 && (waitpid(child, NULL, 0) != child || shared[PAGE + 1] != 's'))
			complain("what a child has written", shared[PAGE + 1]);
		if (shared[PAGE] != 's')
			complain("shared memory", shared[PAGE]);
	}
	unmap(shared, SIZE);
	unmap(memory, SIZE);
}

static void go_round(unsigned round)
{
	int fd = open_file(round % 3);
	int other = MAKE_INT(MEMFD_CREATE, memfd_create("other", 0));

	if (other >= 0)
		close(other);
	if (fd >= 0 && size_file(fd, round))
		use_file(fd);
	else
		left_out++;
	if (fd >= 0)
		close(fd);
	use_memory(round);
}

static unsigned count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned count = 0;

	while (folder && readdir(folder))
		count++;
	if (folder)
		closedir(folder);
	return count;
}

/* KiB of all that is mapped, but for the heap and the stack, and for what has no rights: where
 * munmap is refused an address may stay, empty. */
static unsigned long count_memory(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	unsigned long from, to, sum = 0;
	char line[512];

	while (file && fgets(line, sizeof line, file))
		if (!strstr(line, " ---p ") && !strstr(line, "[heap]") &&
		    !strstr(line, "[stack]") &&
		    sscanf(line, "%lx-%lx", &from, &to) == 2)
			sum += to - from;
	if (file)
		fclose(file);
	return sum / 1024;
}

/* What is enough for the program itself is not taken away: it can open a file more and map a page
 * more at the end. */
static void squeeze(const char *what, const char *amount)
{
	bool is_memory = strcmp(what, "memory") == 0;
	int resource = is_memory ? RLIMIT_AS : RLIMIT_NOFILE;
	struct rlimit limit;

	squeezed = true;
	getrlimit(resource, &limit);
	limit.rlim_cur = strtoul(amount, NULL, 10);
	if (is_memory)
		limit.rlim_cur = (limit.rlim_cur + count_memory()) * 1024;
	setrlimit(resource, &limit);
}

static void relax(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_AS, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_AS, &limit);
}

int main(int argc, char **argv)
{
	static char buffer[BUFSIZ];

	setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
	if (argc > 2)
		squeeze(argv[1], argv[2]);
	for (unsigned round = 0; round < ROUNDS; round++)
		go_round(round);
	relax();
	/* What the library does a moment later. */
	poll(NULL, 0, 100);
	for (int call = 0; call < CALL_COUNT; call++)
		printf("%s %u %u\n", calls[call].name, made[call], failed[call]);
	printf("descriptors %u\nmemory %lu\nleft-out %u\n", count_descriptors(), count_memory(),
	       left_out);
	return wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}
