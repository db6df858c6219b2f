/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What ftruncate, fallocate, posix_fallocate and memfd_create give, for segments, plain files and
 * memfds: the same where the host refuses these calls and the library supplies them. And that
 * neither they nor the calls on memory take a program's locks away. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/probes/probe.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#define MFD_EXEC 16U
#endif

enum { PAGE = 4096, KIB = 1024, MIB = 1024 * 1024, NAME_MAX_OF_MEMFD = 249 };

static const char *where;   /* "segment", "file", "memfd" */
static char path[256];

/* A new, empty file of the kind asked about. */
static int fresh(void)
{
	int fd;

	if (strcmp(where, "segment") == 0) {
		shm_unlink("/lacking");
		fd = shm_open("/lacking", O_RDWR | O_CREAT | O_EXCL, 0600);
	} else if (strcmp(where, "memfd") == 0) {
		fd = memfd_create("lacking", MFD_CLOEXEC);
	} else {
		unlink(path);
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	}
	must(fd >= 0);
	return fd;
}

/* The same file, opened anew. */
static int again(int flags)
{
	int fd = -1;

	if (strcmp(where, "segment") == 0)
		fd = open("/dev/shm/lacking", flags);
	else if (strcmp(where, "file") == 0)
		fd = open(path, flags);
	return fd;
}

static long size_of(int fd)
{
	struct stat status = {.st_size = -1};

	must(fstat(fd, &status) == 0);
	return (long)status.st_size;
}

static long room_of(int fd)
{
	struct stat status = {.st_blocks = -1};

	must(fstat(fd, &status) == 0);
	return (long)status.st_blocks * 512;
}

/* A number that tells contents apart. */
static unsigned long sum(int fd)
{
	unsigned char bytes[PAGE];
	unsigned long hash = 5381;
	off_t at = 0;
	ssize_t got;

	while ((got = pread(fd, bytes, sizeof bytes, at)) > 0) {
		for (ssize_t i = 0; i < got; i++)
			hash = hash * 33 + bytes[i];
		at += got;
	}
	must(got == 0);
	return hash;
}

static void put(int fd, const char *text, off_t at)
{
	must(pwrite(fd, text, strlen(text), at) == (ssize_t)strlen(text));
}

static void tell(const char *call, long result, int fd)
{
	say("%s: %s: %s, size %ld, sum %lx", where, call, outcome(result), size_of(fd), sum(fd));
}

static const char *name_of(int error)
{
	return error ? strerrorname_np(error) : "ok";
}

static void ask_truncate(void)
{
	int fd = fresh();

	must(lseek(fd, 7, SEEK_SET) == 7);
	tell("longer", ftruncate(fd, 10000), fd);
	put(fd, "hello, world", 4090);
	put(fd, "the end", 9993);
	tell("the same", ftruncate(fd, 10000), fd);
	tell("shorter", ftruncate(fd, 4095), fd);
	tell("longer again", ftruncate(fd, 3 * MIB + 1), fd);
	tell("below 0", ftruncate(fd, -1), fd);
	tell("empty", ftruncate(fd, 0), fd);
	tell("to 1", ftruncate(fd, 1), fd);
	say("%s: position %ld", where, (long)lseek(fd, 0, SEEK_CUR));
	say("%s: sparse %d", where, ftruncate(fd, 64L * MIB) == 0 && room_of(fd) < MIB);
	close(fd);
}

static void ask_allocate(void)
{
	int fd = fresh();

	must(lseek(fd, 7, SEEK_SET) == 7);
	put(fd, "begin", 0);
	tell("posix_fallocate", posix_fallocate(fd, 0, 100 * KIB) ? -1 : 0, fd);
	say("%s: has room %d", where, room_of(fd) >= 100 * KIB);
	tell("fallocate further", fallocate(fd, 0, 200 * KIB + 5, 3), fd);
	put(fd, "far", 150 * KIB);
	tell("fallocate all", fallocate(fd, 0, 0, MIB), fd);
	say("%s: has room %d", where, room_of(fd) >= MIB);
	tell("fallocate again", fallocate(fd, 0, 10, KIB), fd);
	tell("keep, inside", fallocate(fd, FALLOC_FL_KEEP_SIZE, 10, KIB), fd);
	must(ftruncate(fd, 0) == 0 && ftruncate(fd, MIB) == 0);
	put(fd, "amid", 300000);
	tell("keep, holes", fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, MIB), fd);
	say("%s: has room %d", where, room_of(fd) >= MIB);
	say("%s: position %ld", where, (long)lseek(fd, 0, SEEK_CUR));
	close(fd);
}

static void ask_punch(void)
{
	enum { PUNCH = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE };
	int fd = fresh();

	for (int i = 0; i < 64 * KIB; i += 16)
		put(fd, "0123456789abcdef", i);
	tell("punch", fallocate(fd, PUNCH, 5000, 20000), fd);
	tell("punch within a page", fallocate(fd, PUNCH, 30000, 10), fd);
	tell("punch pages", fallocate(fd, PUNCH, 8 * PAGE, 2 * PAGE), fd);
	tell("punch over the end", fallocate(fd, PUNCH, 60000, MIB), fd);
	tell("punch beyond the end", fallocate(fd, PUNCH, MIB, MIB), fd);
	tell("punch and grow", fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, PAGE), fd);
	tell("zero", fallocate(fd, FALLOC_FL_ZERO_RANGE, 100, 5000), fd);
	tell("zero over the end", fallocate(fd, FALLOC_FL_ZERO_RANGE, 70000, 5000), fd);
	tell("two at once", fallocate(fd, PUNCH | FALLOC_FL_ZERO_RANGE, 0, PAGE), fd);
	tell("unknown", fallocate(fd, 1 << 20, 0, PAGE), fd);
	tell("collapse and keep", fallocate(fd, FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_KEEP_SIZE, 0,
	                                    PAGE), fd);
	/* tmpfs has no such thing. */
	if (strcmp(where, "file") != 0) {
		tell("collapse", fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE), fd);
		tell("insert", fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, PAGE), fd);
		tell("unshare", fallocate(fd, FALLOC_FL_UNSHARE_RANGE, 0, PAGE), fd);
	}
	close(fd);
}

static void ask_ranges(void)
{
	int fd = fresh();
	off_t most = (off_t)(~0UL >> 1);

	say("%s: offset below 0: %s, %s", where, outcome(fallocate(fd, 0, -1, 10)),
	    name_of(posix_fallocate(fd, -1, 10)));
	say("%s: no length: %s, %s", where, outcome(fallocate(fd, 0, 0, 0)),
	    name_of(posix_fallocate(fd, 0, 0)));
	say("%s: length below 0: %s, %s", where, outcome(fallocate(fd, 0, 0, -1)),
	    name_of(posix_fallocate(fd, 0, -1)));
	say("%s: too far: %s, %s", where, outcome(fallocate(fd, 0, most, most)),
	    name_of(posix_fallocate(fd, most, most)));
	say("%s: mode before right: %s", where, outcome(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 1)));
	say("%s: size %ld", where, size_of(fd));
	close(fd);
}

/* All four calls on a descriptor that is not fit for them. */
static void ask_unfit(const char *what, int fd)
{
	say("%s: %s: %s", where, what, outcome(ftruncate(fd, 5)));
	say("%s: %s: %s", where, what, outcome(ftruncate(fd, -5)));
	say("%s: %s: %s", where, what, outcome(fallocate(fd, 0, 0, 10)));
	say("%s: %s: %s", where, what, outcome(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10)));
	say("%s: %s: %s", where, what, outcome(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE)));
	say("%s: %s: %s", where, what, outcome(fallocate(fd, 0, 0, -10)));
	say("%s: %s: %s", where, what, name_of(posix_fallocate(fd, 0, 10)));
	if (fd >= 0)
		close(fd);
}

static void ask_rights(void)
{
	int ends[2];
	int fd = fresh();

	ask_unfit("no descriptor", -1);
	ask_unfit("a closed one", 987);
	ask_unfit("a folder", open("/", O_RDONLY | O_DIRECTORY));
	must(pipe(ends) == 0);
	ask_unfit("a pipe's end", ends[1]);
	ask_unfit("a pipe's other end", ends[0]);
	ask_unfit("a device", open("/dev/null", O_RDWR));
	if (strcmp(where, "memfd") != 0) {
		ask_unfit("read only", again(O_RDONLY));
		ask_unfit("a path only", again(O_PATH));
	}
	close(fd);
}

/* Descriptors that can't be read, or that append. */
static void ask_other_ways(void)
{
	static const int ways[] = {O_WRONLY, O_RDWR | O_APPEND, O_WRONLY | O_APPEND};
	int fd = fresh();

	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		int way = again(ways[i]);

		must(way >= 0 && ftruncate(fd, 0) == 0);
		put(fd, "0123456789", 0);
		tell("longer", ftruncate(way, 50000), fd);
		tell("shorter", ftruncate(way, 5), fd);
		tell("room", fallocate(way, 0, 30000, 30000), fd);
		say("%s: has room %d", where, room_of(fd) >= 30000);
		put(fd, "0123456789", 20000);
		tell("room in holes", posix_fallocate(way, 0, 60000) ? -1 : 0, fd);
		tell("punch", fallocate(way, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 20003,
		                        4), fd);
		must(write(way, "x", 1) == 1);
		tell("and written to", 0, fd);
		close(way);
	}
	close(fd);
}

/* How a file was opened counts, not what its mode says by now. */
static void ask_modes(void)
{
	struct stat status = {.st_mode = 0};
	int fd = fresh();

	put(fd, "0123456789", 0);
	must(fchmod(fd, 0400) == 0);
	tell("mode 0400, longer", ftruncate(fd, 100), fd);
	tell("mode 0400, shorter", ftruncate(fd, 5), fd);
	tell("mode 0400, room", fallocate(fd, 0, 0, PAGE), fd);
	must(fstat(fd, &status) == 0);
	say("%s: mode %o", where, status.st_mode & 07777);
	must(fchmod(fd, 0) == 0);
	tell("mode 0, shorter", ftruncate(fd, 3), fd);
	must(fstat(fd, &status) == 0);
	say("%s: mode %o", where, status.st_mode & 07777);
	close(fd);
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
	(void)number;
	signals++;
}

/* Above all that the probe itself may write to. */
static void ask_file_limit(void *argument)
{
	enum { LIMIT = 64 * MIB };
	struct sigaction counting = {.sa_handler = count_signal};
	struct rlimit limit = {LIMIT, LIMIT};
	int fd = fresh();

	(void)argument;
	sigaction(SIGXFSZ, &counting, NULL);
	must(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	say("%s: up to the limit: %s", where, outcome(ftruncate(fd, LIMIT)));
	say("%s: over it: %s", where, outcome(ftruncate(fd, LIMIT + 1)));
	say("%s: over it: %s", where, outcome(fallocate(fd, 0, LIMIT - 10, 11)));
	say("%s: over it: %s", where, name_of(posix_fallocate(fd, 2L * LIMIT, 1)));
	say("%s: up to it: %s", where, outcome(fallocate(fd, 0, LIMIT - 10, 10)));
	say("%s: size %ld, %d signals", where, size_of(fd), (int)signals);
	close(fd);
}

static void tell_lock(void *fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	must(fcntl(*(int *)fd, F_GETLK, &lock) == 0);
	say("%s: locked %d at %ld", where, lock.l_type != F_UNLCK, (long)lock.l_start);
}

/* A record lock lasts until the process closes the file, whoever closes it. */
static void ask_locks(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 10};
	int fd = fresh();
	int way = again(O_WRONLY | O_APPEND);

	must(fcntl(fd, F_SETLK, &lock) == 0);
	must(ftruncate(fd, 50000) == 0 && ftruncate(fd, 100) == 0);
	must(fallocate(fd, 0, 0, 100 * KIB) == 0);
	in_child(tell_lock, &fd);
	if (way >= 0) {
		must(ftruncate(way, 150 * KIB) == 0 && fallocate(way, 0, 100 * KIB, KIB) == 0);
		in_child(tell_lock, &fd);
		say("%s: size %ld", where, size_of(fd));
	}
	close(fd);
}

/* Nor do calls on what is mapped take it away, when the program has the file open otherwise. */
static void ask_locks_mapped(int access)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 10};
	int fd = fresh(), own = access < 0 ? dup(fd) : again(access);
	char *memory, *private;

	must(own >= 0 && ftruncate(fd, 4L * PAGE) == 0);
	memory = mmap(NULL, 2L * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	must(memory != MAP_FAILED && private != MAP_FAILED);
	close(fd);
	must(fcntl(own, F_SETLK, &lock) == 0);
	private[0] = 'p';
	say("%s: msync %s", where, outcome(msync(memory, 2L * PAGE, MS_SYNC)));
	in_child(tell_lock, &own);
	say("%s: madvise %s", where, outcome(madvise(private, PAGE, MADV_DONTNEED)));
	in_child(tell_lock, &own);
	say("%s: there is %d", where, private[0]);
	say("%s: madvise %s", where, outcome(madvise(memory, PAGE, MADV_REMOVE)));
	in_child(tell_lock, &own);
	memory = mremap(memory, 2L * PAGE, 4L * PAGE, MREMAP_MAYMOVE);
	must(memory != MAP_FAILED);
	in_child(tell_lock, &own);
	must(munmap(memory, 4L * PAGE) == 0 && munmap(private, PAGE) == 0);
	in_child(tell_lock, &own);
	close(own);
}

static struct {
	int fd;
	atomic_bool over;
} other;

/* One byte after another, from the file's end back. */
static void *write_meanwhile(void *argument)
{
	for (off_t at = MIB - 1; at >= 0; at -= 4093)
		must(pwrite(other.fd, "w", 1, at) == 1);
	other.over = true;
	return argument;
}

static void ask_others_bytes(void)
{
	pthread_t writer;
	int fd = fresh();
	char byte;

	must(ftruncate(fd, MIB) == 0);
	other.fd = fd;
	other.over = false;
	must(pthread_create(&writer, NULL, write_meanwhile, NULL) == 0);
	for (int i = 0; !other.over; i = (i + 1) % 16)
		must(fallocate(fd, 0, i * MIB / 16, MIB / 16) == 0);
	pthread_join(writer, NULL);
	must(fallocate(fd, 0, 0, MIB) == 0);
	for (off_t at = MIB - 1; at >= 0; at -= 4093)
		if (pread(fd, &byte, 1, at) != 1 || byte != 'w')
			say("%s: MUST HOLD: what was written at %ld is there", where, (long)at);
	tell("another's bytes", 0, fd);
	close(fd);
}

static void ask_sizes(void)
{
	ask_truncate();
	ask_allocate();
	ask_punch();
	ask_ranges();
	ask_rights();
	if (strcmp(where, "memfd") != 0)
		ask_other_ways();
	ask_modes();
	in_child(ask_file_limit, NULL);
	ask_locks();
	ask_locks_mapped(-1);
	if (strcmp(where, "file") == 0)
		ask_locks_mapped(O_WRONLY);
	ask_others_bytes();
}

static void tell_memfd(const char *what, int fd)
{
	struct stat status = {.st_size = -1};

	say("memfd %s: %s", what, outcome(fd));
	if (fd < 0)
		return;
	must(fstat(fd, &status) == 0);
	say("type %o, mode %o, links %lu, size %ld, mine %d", status.st_mode & S_IFMT,
	    status.st_mode & 07777, (unsigned long)status.st_nlink, (long)status.st_size,
	    status.st_uid == geteuid() && status.st_gid == getegid());
	say("flags %#x, closed by exec %d", fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
	close(fd);
}

static void ask_names(void)
{
	char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	                   0);
	const char *volatile nowhere = NULL;
	char *end = pages + PAGE;

	must(pages != MAP_FAILED && mprotect(end, PAGE, PROT_NONE) == 0);
	tell_memfd("without a name", memfd_create("", 0));
	tell_memfd("with a slash", memfd_create("a/b", 0));
	tell_memfd("named NULL", memfd_create(nowhere, 0));
	tell_memfd("named by a bad pointer", memfd_create((const char *)1, 0));
	memset(pages, 'n', PAGE);
	tell_memfd("named by what does not end", memfd_create(end - 100, 0));
	tell_memfd("too long to ask", memfd_create(end - NAME_MAX_OF_MEMFD - 1, 0));
	end[-1] = '\0';
	tell_memfd("named at the end of memory", memfd_create(end - 3, 0));
	tell_memfd("as long as can be", memfd_create(end - 1 - NAME_MAX_OF_MEMFD, 0));
	tell_memfd("too long", memfd_create(end - 2 - NAME_MAX_OF_MEMFD, 0));
	munmap(pages, 2 * PAGE);
}

static void ask_flags(void)
{
	static const unsigned flags[] = {MFD_CLOEXEC, MFD_EXEC, MFD_NOEXEC_SEAL | MFD_CLOEXEC,
	                                 MFD_EXEC | MFD_NOEXEC_SEAL, 0x20, 0x80000000, 21U << 26,
	                                 MFD_HUGETLB | 0x100};

	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		char what[32];

		snprintf(what, sizeof what, "flags %#x", flags[i]);
		tell_memfd(what, memfd_create("flags", flags[i]));
	}
}

static void ask_memfd(void)
{
	int fd = memfd_create("lacking", 0);
	char *memory;
	char bytes[16] = "";

	must(fd >= 0 && ftruncate(fd, PAGE) == 0);
	say("seals %d, sealed %s", fcntl(fd, F_GET_SEALS),
	    outcome(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK)));
	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(memory != MAP_FAILED);
	strcpy(memory, "mapped");
	say("read %zd %s", pread(fd, bytes, 7, 0), bytes);
	must(munmap(memory, PAGE) == 0);
	say("written %zd", write(fd, "x", 1));
	close(fd);
}

static void exhaust(void *argument)
{
	struct rlimit few = {20, 20};
	int fd;

	(void)argument;
	/* Whoever serves it is met once. */
	close(memfd_create("lacking", 0));
	must(setrlimit(RLIMIT_NOFILE, &few) == 0);
	while ((fd = dup(STDERR_FILENO)) >= 0)
		continue;
	say("memfd and no descriptor left: %s", outcome(memfd_create("lacking", 0)));
	close(10);
	fd = memfd_create("lacking", 0);
	say("memfd and one left: %s %d", outcome(fd), fd);
}

static void ask_all(void)
{
	const char *top = getenv("TMPDIR");

	snprintf(path, sizeof path, "%s/lacking-%d", top ? top : "/tmp", (int)getpid());
	ask_names();
	ask_flags();
	ask_memfd();
	in_child(exhaust, NULL);
	where = "segment";
	ask_sizes();
	where = "file";
	ask_sizes();
	where = "memfd";
	ask_sizes();
	shm_unlink("/lacking");
	unlink(path);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, ask_all);
}
