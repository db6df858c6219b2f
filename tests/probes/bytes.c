/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is in files in /dev/shm: reading, writing, mapping, holes, locks, and files without a
 * name. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/probes/tree.h"

#define F TOP "/file"
#define COPY TOP "/copy"

enum { PAGE = 4096 };

/* As far as an off_t goes, and not so far. */
#define OFF_LAST ((off_t)((sizeof(off_t) == 8 ? UINT64_MAX : UINT32_MAX) >> 1))
#define FAR ((off_t)1 << (sizeof(off_t) == 8 ? 40 : 30))

static int fresh(int flags)
{
	int fd;

	unlink(F);
	fd = open(F, O_RDWR | O_CREAT | flags, 0644);
	must(fd >= 0);
	return fd;
}

static off_t size_of(int fd)
{
	struct stat status;

	must(fstat(fd, &status) == 0);
	return status.st_size;
}

static void ask_read_write(void)
{
	int fd = fresh(0);
	char bytes[32] = "";
	struct iovec parts[2] = {{(char[]){"one "}, 4}, {(char[]){"two"}, 3}};
	struct iovec into = {bytes, sizeof bytes - 1};

	say("write %zd", write(fd, "hello, world", 12));
	say("pwrite %zd", pwrite(fd, "W", 1, 7));
	say("read at the end %zd", read(fd, bytes, sizeof bytes));
	say("pread %zd %s", pread(fd, bytes, sizeof bytes - 1, 0), bytes);
	say("lseek %ld", (long)lseek(fd, -5, SEEK_END));
	say("lseek %ld", (long)lseek(fd, 1, SEEK_CUR));
	say("write %zd", write(fd, "ORLD, and more", 14));
	say("size %ld", (long)size_of(fd));
	say("writev %zd", pwritev(fd, parts, 2, 100));
	say("readv %zd %s", preadv(fd, &into, 1, 100), bytes);
	say("a gap: %zd", pread(fd, bytes, 4, 50));
	say("zeros: %d", (bytes[0] | bytes[1] | bytes[2] | bytes[3]) == 0);
	ask(lseek(fd, -1, SEEK_SET));
	ask(lseek(fd, 0, 99));
	ask(pread(fd, bytes, 4, -1));
	ask(pwrite(fd, bytes, 4, -1));
	say("beyond the end: %zd", pread(fd, bytes, 4, FAR));
	say("%lld", (long long)lseek(fd, FAR, SEEK_SET));
	/* What is open there of the library's is a large file, where this may be. */
	if (sizeof(off_t) == 8)
		ask(pwrite(fd, "x", 1, OFF_LAST));
	ask(write(fd, NULL, 0));
	ask(fsync(fd));
	ask(fdatasync(fd));
	ask(syncfs(fd));
	ask_errno(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED));
	ask(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
	close(fd);
	fd = open(TOP, O_RDONLY | O_DIRECTORY);
	ask(read(fd, bytes, 4));
	ask(write(fd, bytes, 4));
	ask(fsync(fd));
	ask(ftruncate(fd, 0));
	ask(lseek(fd, 0, SEEK_SET));
	close(fd);
	fd = open(F, O_RDONLY);
	ask(write(fd, "x", 1));
	ask(pwrite(fd, "x", 1, 0));
	close(fd);
	fd = open(F, O_WRONLY);
	ask(read(fd, bytes, 1));
	close(fd);
}

static void ask_append(void)
{
	int fd = fresh(O_APPEND);
	int other = open(F, O_WRONLY | O_APPEND);
	char bytes[32] = "";

	ask(write(fd, "one", 3));
	ask(write(other, "two", 3));
	ask(write(fd, "three", 5));
	ask(pwrite(fd, "four", 4, 0));
	ask(lseek(fd, 0, SEEK_SET));
	say("read %zd %s", read(fd, bytes, sizeof bytes), bytes);
	close(fd);
	close(other);
	fd = open(F, O_RDWR);
	ask(write(fd, "ONE", 3));
	ask(fcntl(fd, F_SETFL, O_APPEND));
	ask(write(fd, "!", 1));
	tree_tell(F);
	close(fd);
	fd = open(F, O_RDWR | O_APPEND);
	ask(fcntl(fd, F_SETFL, 0));
	ask(pwrite(fd, "one", 3, 0));
	differs("bytes: O_APPEND taken away", "%ld", (long)size_of(fd));
	close(fd);
}

static void ask_allocation(void)
{
	static const struct {
		const char *name;
		int mode;
	} modes[] = {
		{"plain", 0},
		{"keep size", FALLOC_FL_KEEP_SIZE},
		{"punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE},
		{"punch only", FALLOC_FL_PUNCH_HOLE},
		{"zero", FALLOC_FL_ZERO_RANGE},
		{"collapse", FALLOC_FL_COLLAPSE_RANGE},
		{"insert", FALLOC_FL_INSERT_RANGE},
		{"unshare", FALLOC_FL_UNSHARE_RANGE},
	};
	int fd = fresh(0);
	struct stat status;

	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		must(ftruncate(fd, 0) == 0 && ftruncate(fd, 3 * PAGE) == 0);
		say("%s: %s", modes[i].name, outcome(fallocate(fd, modes[i].mode, PAGE, 4 * PAGE)));
		must(fstat(fd, &status) == 0);
		/* Of huge pages it may have more than was asked for. */
		say("size %ld, four pages: %d, none: %d", (long)status.st_size,
		    status.st_blocks * 512 >= 4 * PAGE, status.st_blocks == 0);
	}
	ask(fallocate(fd, 0, -1, 5));
	ask(fallocate(fd, 0, 0, 0));
	ask(fallocate(fd, 0, 0, -1));
	if (sizeof(off_t) == 8)
		ask(fallocate(fd, 0, OFF_LAST - 255, 0x1000));
	ask(fallocate64(fd, 0, 0, 10 * PAGE));
	ask_errno(posix_fallocate(fd, 0, 12 * PAGE));
	ask_errno(posix_fallocate64(fd, 0, 13 * PAGE));
	ask_errno(posix_fallocate(fd, 0, 0));
	ask_errno(posix_fallocate(fd, -1, 1));
	say("size %ld", (long)size_of(fd));
	close(fd);
	fd = open(F, O_RDONLY);
	ask(fallocate(fd, 0, 0, 100));
	ask_errno(posix_fallocate(fd, 0, 100));
	close(fd);
	fd = open(TOP, O_RDONLY);
	ask(fallocate(fd, 0, 0, 100));
	close(fd);
}

/* Memory may come in pages as great as this: what is smaller need not be a hole. */
enum { HUGE_PAGE = 2 << 20 };

static long in_huge_pages(off_t size)
{
	return (long)((size + HUGE_PAGE - 1) / HUGE_PAGE);
}

static void ask_holes(void)
{
	char page[PAGE];
	int fd = fresh(0);
	struct stat status;

	memset(page, 'x', sizeof page);
	must(ftruncate(fd, 16 * HUGE_PAGE) == 0);
	say("empty: %ld %s", (long)lseek(fd, 0, SEEK_HOLE), outcome(lseek(fd, 0, SEEK_DATA)));
	for (int i = 0; i < 16; i += 4)
		must(pwrite(fd, page, PAGE, i * HUGE_PAGE) == PAGE);
	for (int i = 0; i < 16; i += 2)
		say("at %d: hole %ld, data %ld", i,
		    in_huge_pages(lseek(fd, i * HUGE_PAGE, SEEK_HOLE)),
		    in_huge_pages(lseek(fd, i * HUGE_PAGE, SEEK_DATA)));
	ask(lseek(fd, 17 * HUGE_PAGE, SEEK_HOLE));
	ask(lseek(fd, 16 * HUGE_PAGE, SEEK_DATA));
	ask(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4 * HUGE_PAGE, HUGE_PAGE));
	ask(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8 * HUGE_PAGE + 5, 10));
	must(pread(fd, page, 20, 8 * HUGE_PAGE) == 20);
	say("%d %d %d %d", page[4], page[5], page[14], page[15]);
	say("data %ld", in_huge_pages(lseek(fd, HUGE_PAGE, SEEK_DATA)));
	must(fstat(fd, &status) == 0);
	say("its memory is given back: %d", status.st_blocks * 512 <= 3 * HUGE_PAGE);
	close(fd);
}

static void ask_mappings(void)
{
	int fd = fresh(0);
	int other = open(F, O_RDWR);
	int reader = open(F, O_RDONLY);
	char *one, *two, *private;
	char bytes[8] = "";

	must(ftruncate(fd, 3 * PAGE) == 0);
	one = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	two = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, reader, PAGE);
	private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, reader, 0);
	must(one != MAP_FAILED && two != MAP_FAILED && private != MAP_FAILED);
	strcpy(one, "zero");
	strcpy(one + PAGE, "first");
	say("%s, %zd, %s", two, pread(other, bytes, 5, PAGE), bytes);
	must(pwrite(other, "FIRST", 5, PAGE) == 5);
	say("%s %s", one + PAGE, two);
	strcpy(private, "mine");
	say("%s %s", one, private);
	ask(msync(one, 3 * PAGE, MS_SYNC));
	ask(mprotect(two, PAGE, PROT_READ | PROT_WRITE));
	ask_pointer(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0) != MAP_FAILED);
	ask_pointer(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 1) != MAP_FAILED);
	ask_pointer(mmap64(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 100L * PAGE) != MAP_FAILED);
	must(unlink(F) == 0);
	close(fd);
	close(other);
	close(reader);
	strcpy(one + 2 * PAGE, "without a name");
	say("%s", one + 2 * PAGE);
	munmap(one, 3 * PAGE);
	munmap(two, PAGE);
	munmap(private, PAGE);
}

static void touch_beyond(void *argument)
{
	volatile char *memory = argument;

	memory[PAGE] = 1;
}

static void touch_both(void *argument)
{
	volatile char *memory = argument;

	memory[0] = 'c';
	memory[PAGE - 1] = 'd';
}

static void ask_mapping_and_size(void)
{
	int fd = fresh(0);
	char *memory;

	must(ftruncate(fd, 2 * PAGE) == 0);
	memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(memory != MAP_FAILED);
	say("in a child: %d", in_child(touch_both, memory));
	say("seen: %c%c", memory[0], memory[PAGE - 1]);
	must(truncate(F, PAGE) == 0);
	differs("bytes: beyond the end", "%d", in_child(touch_beyond, memory));
	must(truncate(F, 2 * PAGE) == 0);
	say("again: %d", in_child(touch_beyond, memory));
	say("seen: %d", memory[PAGE]);
	must(truncate(F, 100) == 0 && truncate(F, PAGE) == 0);
	say("cut: %d", memory[PAGE - 1]);
	ask(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE));
	say("punched: %d", memory[0]);
	munmap(memory, 2 * PAGE);
	close(fd);
}

/* Another process's view, by an open file of its own. The daemon, too, may have that open for a
 * moment longer, and locks that belong to it last as long: so they are given up. */
static void try_locks(void *ignored)
{
	int fd = open(F, O_RDWR);
	struct flock lock = {.l_type = F_WRLCK, .l_start = 5, .l_len = 1};

	(void)ignored;
	say("  flock %s, lockf %s", outcome(flock(fd, LOCK_EX | LOCK_NB)),
	    outcome(lockf(fd, F_TEST, 10)));
	say("  fcntl %s", outcome(fcntl(fd, F_SETLK, &lock)));
	must(fcntl(fd, F_GETLK, &lock) == 0);
	say("  held: %d, by the parent: %d", lock.l_type, lock.l_pid == getppid());
	lock = (struct flock){.l_type = F_WRLCK, .l_start = 50, .l_len = 1};
	say("  elsewhere %s", outcome(fcntl(fd, F_SETLK, &lock)));
	lock = (struct flock){.l_type = F_RDLCK, .l_start = 5, .l_len = 1};
	say("  of the open file, to read %s", outcome(fcntl(fd, F_OFD_SETLK, &lock)));
	lock.l_type = F_UNLCK;
	must(fcntl(fd, F_OFD_SETLK, &lock) == 0 && flock(fd, LOCK_UN) == 0);
}

static void ask_locks(void)
{
	int fd = fresh(0);
	struct flock lock = {.l_type = F_WRLCK, .l_start = 0, .l_len = 10};

	say("free");
	must(in_child(try_locks, NULL) == 0);
	ask(flock(fd, LOCK_SH));
	must(in_child(try_locks, NULL) == 0);
	ask(flock(fd, LOCK_EX));
	must(in_child(try_locks, NULL) == 0);
	ask(flock(fd, LOCK_UN));
	ask(fcntl(fd, F_SETLK, &lock));
	must(in_child(try_locks, NULL) == 0);
	lock.l_type = F_RDLCK;
	ask(fcntl(fd, F_SETLKW, &lock));
	must(in_child(try_locks, NULL) == 0);
	lock.l_type = F_UNLCK;
	ask(fcntl(fd, F_SETLK, &lock));
	lock.l_type = F_WRLCK;
	ask(fcntl(fd, F_OFD_SETLK, &lock));
	must(in_child(try_locks, NULL) == 0);
	close(fd);
	say("closed");
	must(in_child(try_locks, NULL) == 0);
	fd = open(TOP, O_RDONLY | O_DIRECTORY);
	ask(flock(fd, LOCK_EX | LOCK_NB));
	close(fd);
}

static void wait_for_lock(void *argument)
{
	int fd = open(F, O_RDWR);
	int *told = argument;
	char byte = 0;

	must(write(told[1], "w", 1) == 1);
	must(flock(fd, LOCK_EX) == 0);
	must(pread(fd, &byte, 1, 0) == 1);
	say("then: %c", byte);
}

static void ask_waiting(void)
{
	int told[2];
	int fd = fresh(0);
	char byte;
	pid_t pid;

	must(pipe(told) == 0 && flock(fd, LOCK_EX) == 0);
	pid = fork();
	if (pid == 0) {
		close(fd);
		wait_for_lock(told);
		_exit(EXIT_SUCCESS);
	}
	must(read(told[0], &byte, 1) == 1);
	usleep(30000);
	must(pwrite(fd, "!", 1, 0) == 1 && flock(fd, LOCK_UN) == 0);
	say("waited: %d", await_child(pid));
	close(told[0]);
	close(told[1]);
	close(fd);
}

static void ask_without_name(void)
{
	struct stat before, after;
	int fd = fresh(0);
	char bytes[16] = "";

	must(write(fd, "contents", 8) == 8 && fstat(fd, &before) == 0);
	must(link(F, TOP "/second") == 0);
	ask(unlink(F));
	differs("bytes: links of an open file", "%d",
	        fstat(fd, &after) == 0 ? (int)after.st_nlink : -1);
	ask(unlink(TOP "/second"));
	must(fstat(fd, &after) == 0);
	say("links %lu, same %d, size %ld", (unsigned long)after.st_nlink,
	    before.st_ino == after.st_ino, (long)after.st_size);
	tree_make(F, 0644, "another");
	say("pread %zd %s", pread(fd, bytes, 15, 0), bytes);
	ask(ftruncate(fd, 3));
	ask(fchmod(fd, 0600));
	ask(pwrite(fd, "!", 1, 3));
	say("pread %zd %.4s", pread(fd, bytes, 15, 0), bytes);
	snprintf(bytes, sizeof bytes, "/dev/fd/%d", fd);
	differs("bytes: a name for a file without one", "%s",
	        outcome(linkat(AT_FDCWD, bytes, AT_FDCWD, TOP "/back", AT_SYMLINK_FOLLOW)));
	ask_fd(open(bytes, O_RDONLY));
	tree_tell(F);
	close(fd);
}

/* Which a 32-bit off_t has no room for. */
static void ask_large(void)
{
	int fd = fresh(O_LARGEFILE), again;
	struct stat status;

	ask(ftruncate64(fd, (off64_t)3 << 30));
	ask(stat(F, &status));
	ask(lstat(F, &status));
	ask(fstatat(AT_FDCWD, F, &status, 0));
	ask(truncate64(F, (off64_t)5 << 30));
	again = open(F, O_RDONLY);
	say("open: %s", outcome(again));
	close(again);
	again = open(F, O_RDWR | O_LARGEFILE);
	say("open, large: %s", outcome(again));
	close(again);
	ask(access(F, R_OK));
	ask(truncate(F, OFF_LAST));
	ask(stat(F, &status));
	close(fd);
}

static void ask_copies(void)
{
	int from = fresh(0);
	int to = open(COPY, O_RDWR | O_CREAT | O_TRUNC, 0600);
	int null = open("/dev/null", O_WRONLY);
	int ends[2];
	off64_t start = 0;
	off_t from_two = 2;

	must(write(from, "0123456789", 10) == 10 && pipe(ends) == 0);
	say("sendfile %zd", sendfile(to, from, &from_two, 100));
	tree_tell(COPY);
	say("copy_file_range %zd", copy_file_range(from, &start, to, NULL, 5, 0));
	tree_tell(COPY);
	start = 0;
	say("splice %zd", splice(from, &start, ends[1], NULL, 4, 0));
	say("splice %zd", splice(ends[0], NULL, null, NULL, 4, 0));
	say("and back %zd", write(ends[1], "piped", 5));
	say("splice %zd", splice(ends[0], NULL, to, NULL, 5, 0));
	tree_tell(COPY);
	close(from);
	close(to);
	close(null);
	close(ends[0]);
	close(ends[1]);
}

static void write_too_much(void *ignored)
{
	struct rlimit limit = {8192, 8192};
	char bytes[100] = "";
	int fd = open(F, O_WRONLY);

	(void)ignored;
	signal(SIGXFSZ, SIG_IGN);
	must(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	say("write %zd", pwrite(fd, bytes, 100, 8150));
	ask(pwrite(fd, bytes, 100, 8192));
	ask(ftruncate(fd, 8193));
	ask(ftruncate(fd, 8192));
	ask(truncate(F, 8193));
	ask(fallocate(fd, 0, 0, 9000));
	signal(SIGXFSZ, SIG_DFL);
	say("not reached: %zd", pwrite(fd, bytes, 100, 9000));
}

static void ask_more(void)
{
	int fd = fresh(0);
	struct pollfd ready = {fd, POLLIN | POLLOUT, 0};

	say("signal: %d", in_child(write_too_much, NULL));
	say("poll %d %x", poll(&ready, 1, 0), (unsigned)ready.revents);
	ask(fcntl(fd, F_SETFL, O_NONBLOCK));
	differs("bytes: seals", "%s", outcome(fcntl(fd, F_GET_SEALS)));
	ask(fcntl(fd, F_SETLEASE, F_RDLCK));
	ask(fcntl(fd, F_SETLEASE, F_UNLCK));
	ask(isatty(fd) ? 0 : -1);
	close(fd);
}

static void body(void)
{
	ask_read_write();
	ask_append();
	ask_allocation();
	ask_holes();
	ask_mappings();
	ask_mapping_and_size();
	ask_locks();
	ask_waiting();
	ask_without_name();
	ask_copies();
	ask_large();
	ask_more();
}

static void run(void)
{
	tree_run(body);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, run);
}
