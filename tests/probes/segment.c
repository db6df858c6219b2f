/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What shm_open returns is a real file: attributes, access, offsets, mappings, locks. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "tests/probes/probe.h"

#define NAME "/segment"

enum { PAGE = 4096 };

static off_t size_of(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 ? status.st_size : -1;
}

static bool same_file(int one, int other)
{
	struct stat a, b;

	must(fstat(one, &a) == 0 && fstat(other, &b) == 0);
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static char *map(int fd, size_t size, int protection, int flags)
{
	return mmap(NULL, size, protection, flags, fd, 0);
}

static const char *map_outcome(int fd, int protection, int flags)
{
	void *address = map(fd, PAGE, protection, flags);

	if (address == MAP_FAILED)
		return outcome(-1);
	munmap(address, PAGE);
	return "ok";
}

static bool is_now(struct timespec time_of)
{
	time_t now = time(NULL);

	return time_of.tv_sec >= now - 60 && time_of.tv_sec <= now + 1;
}

static void ask_attributes(void)
{
	struct stat status;
	struct statfs system_of;
	int fd;

	umask(022);
	fd = make_segment(NAME, 0666, 0);
	must(fstat(fd, &status) == 0);
	say("new: mode %o size %ld blocks %ld", status.st_mode, (long)status.st_size,
	    (long)status.st_blocks);
	must(status.st_uid == geteuid() && status.st_gid == getegid());
	must(is_now(status.st_atim) && is_now(status.st_mtim) && is_now(status.st_ctim));
	/* A struct with a 32-bit fsblkcnt_t has no room for what the daemon's memory may be. */
	if (sizeof system_of.f_blocks == 8) {
		must(fstatfs(fd, &system_of) == 0);
		say("{segment: on a tmpfs} %d", system_of.f_type == TMPFS_MAGIC);
	}
	say("{segment: seals} %d", fcntl(fd, F_GET_SEALS));
	say("close on exec: %d", fcntl(fd, F_GETFD) == FD_CLOEXEC);
	/* A known difference: a file that is a memfd was opened without O_NOFOLLOW. */
	say("flags: %o", fcntl(fd, F_GETFL) & ~O_NOFOLLOW);
	must(write(fd, "x", 1) == 1 && fstat(fd, &status) == 0);
	say("written: size %ld blocks %ld", (long)status.st_size, (long)status.st_blocks);
	say("fchmod: %s", outcome(fchmod(fd, 0640)));
	must(fstat(fd, &status) == 0);
	say("then: mode %o", status.st_mode);
	say("fchown to nobody: %s", outcome(fchown(fd, NOBODY, NOBODY)));
	say("futimens: %s", outcome(futimens(fd, (struct timespec[]){{1, 2}, {3, 4}})));
	must(fstat(fd, &status) == 0);
	say("then: %ld.%ld %ld.%ld", (long)status.st_atim.tv_sec, (long)status.st_atim.tv_nsec,
	    (long)status.st_mtim.tv_sec, (long)status.st_mtim.tv_nsec);
	close(fd);
	fd = shm_open(NAME, O_RDONLY, 0);
	say("opened again: %s", outcome(fd));
	must(fstat(fd, &status) == 0);
	say("then: mode %o, mtime %ld", status.st_mode, (long)status.st_mtim.tv_sec);
	close(fd);
	shm_unlink(NAME);
}

static void ask_modes(void)
{
	static const mode_t masks[] = {0000, 0022, 0027, 0077, 0777};
	static const mode_t modes[] = {0666, 0600, 0777, 01777, 06755, 0000, 0444};
	struct stat status;

	for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++)
		for (size_t j = 0; j < sizeof modes / sizeof modes[0]; j++) {
			int fd;

			umask(masks[i]);
			fd = shm_open(NAME, O_RDWR | O_CREAT | O_EXCL, modes[j]);
			must(fd >= 0 && fstat(fd, &status) == 0);
			say("umask %o, mode %o: %o", masks[i], modes[j], status.st_mode);
			say("write: %s", outcome(write(fd, "x", 1)));
			say("again: %s", try_open(NAME, O_RDWR, 0));
			must(umask(022) == masks[i]);
			close(fd);
			must(shm_unlink(NAME) == 0);
		}
}

static void ask_numbers(void)
{
	int low = open("/dev/null", O_RDONLY);
	int gap = dup(low);
	int first, second;

	must(dup(low) >= 0);
	close(low);
	close(gap);
	first = make_segment(NAME, 0600, 0);
	second = shm_open(NAME, O_RDONLY, 0);
	say("lowest free numbers: %d %d", first == low, second == gap);
	close(first);
	close(second);
	close(gap + 1);
	shm_unlink(NAME);
}

static void ask_read_only(void)
{
	int fd = make_segment(NAME, 0600, PAGE);
	int reader = shm_open(NAME, O_RDONLY, 0);
	int writer = shm_open(NAME, O_WRONLY, 0);
	char byte, path[64];
	char *mapped;

	say("reader: write %s", outcome(write(reader, "x", 1)));
	say("reader: ftruncate %s", outcome(ftruncate(reader, 1)));
	say("reader: fallocate %s", outcome(fallocate(reader, 0, 0, PAGE)));
	say("reader: read %s", outcome(read(reader, &byte, 1)));
	say("reader: map to read %s", map_outcome(reader, PROT_READ, MAP_SHARED));
	say("reader: map to write %s", map_outcome(reader, PROT_WRITE, MAP_SHARED));
	say("reader: map privately %s", map_outcome(reader, PROT_READ | PROT_WRITE, MAP_PRIVATE));
	mapped = map(reader, PAGE, PROT_READ, MAP_SHARED);
	say("reader: mprotect %s", outcome(mprotect(mapped, PAGE, PROT_READ | PROT_WRITE)));
	munmap(mapped, PAGE);
	say("writer: read %s", outcome(read(writer, &byte, 1)));
	say("writer: map %s", map_outcome(writer, PROT_READ, MAP_SHARED));
	say("writer: write %s", outcome(write(writer, "x", 1)));
	say("writer: ftruncate %s", outcome(ftruncate(writer, PAGE)));
	say("map to execute %s", map_outcome(fd, PROT_READ | PROT_EXEC, MAP_SHARED));
	snprintf(path, sizeof path, "/proc/self/fd/%d", reader);
	say("reader reopened to write: %s", outcome(open(path, O_RDWR)));
	must(fchmod(fd, 0400) == 0);
	say("of mode 0400: %s", outcome(open(path, O_RDWR)));
	closefrom(reader);
	close(fd);
	shm_unlink(NAME);
}

static void ask_offsets(void)
{
	int one = make_segment(NAME, 0600, 0);
	int two = shm_open(NAME, O_RDWR, 0);
	int copy = dup(one);
	int appender = shm_open(NAME, O_WRONLY | O_APPEND, 0);
	char text[16] = "";

	must(same_file(one, two) && write(one, "hello", 5) == 5);
	say("offsets: %ld %ld %ld", (long)lseek(one, 0, SEEK_CUR), (long)lseek(two, 0, SEEK_CUR),
	    (long)lseek(copy, 0, SEEK_CUR));
	must(read(two, text, 8) == 5);
	say("read: %s", text);
	say("append: %ld", (long)write(appender, "ABC", 3));
	say("size %ld", (long)size_of(one));
	say("truncating open: %s", try_open(NAME, O_RDWR | O_TRUNC, 0));
	say("size %ld, offset %ld", (long)size_of(one), (long)lseek(one, 0, SEEK_CUR));
	say("creating open of a file that is there: %s", try_open(NAME, O_RDWR | O_CREAT, 0400));
	say("exclusive: %s", try_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600));
	close(one);
	close(two);
	close(copy);
	close(appender);
	shm_unlink(NAME);
}

static bool is_zero(const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return false;
	return true;
}

static void ask_sizes(void)
{
	const off_t far = (off_t)1 << (sizeof(off_t) == 8 ? 40 : 30);
	int fd = make_segment(NAME, 0600, 0);
	char *mapped;

	say("ftruncate: %s", outcome(ftruncate(fd, 3 * PAGE)));
	say("to less than nothing: %s", outcome(ftruncate(fd, -1)));
	say("to far more than there is: %s", outcome(ftruncate(fd, far)));
	say("size %ld", (long)size_of(fd));
	must(ftruncate(fd, 2 * PAGE) == 0);
	mapped = map(fd, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	must(mapped != MAP_FAILED && is_zero(mapped, 2 * PAGE));
	memset(mapped, 'x', 2 * PAGE);
	must(ftruncate(fd, 100) == 0 && ftruncate(fd, 2 * PAGE) == 0);
	say("what was cut off is zero: %d", is_zero(mapped + 100, 2 * PAGE - 100));
	say("fallocate: %s", outcome(fallocate(fd, 0, 0, 3 * PAGE)));
	say("size %ld", (long)size_of(fd));
	say("keeping the size: %s", outcome(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4 * PAGE)));
	say("size %ld", (long)size_of(fd));
	memset(mapped, 'y', 3 * PAGE);
	say("punching: %s",
	    outcome(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE)));
	say("a hole: %d", is_zero(mapped + PAGE, PAGE));
	say("{segment: data where a hole was read} %ld", (long)lseek(fd, PAGE, SEEK_DATA));
	say("collapsing: %s", outcome(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE)));
	say("posix_fallocate: %d", posix_fallocate(fd, 0, 5 * PAGE));
	say("size %ld", (long)size_of(fd));
	say("removed: %s", outcome(madvise(mapped, PAGE, MADV_REMOVE)));
	say("zero: %d", is_zero(mapped, PAGE));
	say("msync: %s", outcome(msync(mapped, PAGE, MS_SYNC)));
	say("fsync: %s", outcome(fsync(fd)));
	mapped = mremap(mapped, 3 * PAGE, 5 * PAGE, MREMAP_MAYMOVE);
	must(mapped != MAP_FAILED);
	say("grown mapping: %c %d", mapped[2 * PAGE], mapped[4 * PAGE]);
	munmap(mapped, 5 * PAGE);
	close(fd);
	shm_unlink(NAME);
}

static void touch(void *address)
{
	*(volatile char *)address = 1;
}

static void write_there(void *mapped)
{
	strcpy(mapped, "from the child");
}

static void map_and_write(void *ignored)
{
	int fd = shm_open(NAME, O_RDWR, 0);
	char *mapped = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

	(void)ignored;
	must(mapped != MAP_FAILED);
	strcpy(mapped, "by name");
}

static void ask_mappings(void)
{
	int fd = make_segment(NAME, 0600, PAGE + 1);
	char *mapped = map(fd, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	char *again = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	char text[32] = "";

	must(mapped != MAP_FAILED && again != MAP_FAILED);
	say("inherited mapping: %d %s", in_child(write_there, mapped), again);
	say("another's mapping: %d %s", in_child(map_and_write, NULL), mapped);
	must(pread(fd, text, sizeof text, 0) == sizeof text);
	say("read: %s", text);
	must(pwrite(fd, "written", 8, 0) == 8);
	say("mapped: %s", again);
	say("the last page's rest: %d", in_child(touch, mapped + PAGE + 100));
	say("{segment: past the end} %d",
	    in_child(touch, mapped + 2 * PAGE) == PROBE_SIGNAL + SIGBUS);
	must(ftruncate(fd, 3 * PAGE) == 0);
	say("grown: %d", in_child(touch, mapped + 2 * PAGE));
	close(fd);
	say("closed: %d %s", in_child(map_and_write, NULL), mapped);
	must(shm_unlink(NAME) == 0);
	strcpy(again, "unlinked");
	say("{segment: two mappings in one process} %s", mapped);
	say("its name: %s", try_open(NAME, O_RDWR, 0));
	munmap(mapped, 3 * PAGE);
	munmap(again, PAGE);
}

static void ask_recreated(void)
{
	int old = make_segment(NAME, 0600, 10);
	int new_one;

	must(shm_unlink(NAME) == 0);
	new_one = shm_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0644);
	must(new_one >= 0 && !same_file(old, new_one));
	say("unlinked and made again: sizes %ld %ld", (long)size_of(old), (long)size_of(new_one));
	say("old still writable: %s", outcome(ftruncate(old, 20)));
	say("sizes %ld %ld", (long)size_of(old), (long)size_of(new_one));
	close(old);
	close(new_one);
	shm_unlink(NAME);
}

struct lock_question {
	int kind; /* 0: fcntl, 1: open file description, 2: flock */
	int type; /* F_RDLCK or F_WRLCK */
};

static int lock_file(int fd, const struct lock_question *question)
{
	struct flock lock = {.l_type = (short)question->type, .l_whence = SEEK_SET, .l_len = 10};

	if (question->kind == 2)
		return flock(fd, (question->type == F_RDLCK ? LOCK_SH : LOCK_EX) | LOCK_NB);
	return fcntl(fd, question->kind ? F_OFD_SETLK : F_SETLK, &lock);
}

static void lock_in_child(void *argument)
{
	int fd = shm_open(NAME, O_RDWR, 0);

	say("child: kind %d type %d: %s", ((struct lock_question *)argument)->kind,
	    ((struct lock_question *)argument)->type, outcome(lock_file(fd, argument)));
}

static void ask_locks(void)
{
	for (int kind = 0; kind < 3; kind++)
		for (int held = F_RDLCK; held <= F_WRLCK; held++) {
			int fd = make_segment(NAME, 0600, 100);
			struct lock_question question = {kind, held};

			say("kind %d held %d: %s", kind, held, outcome(lock_file(fd, &question)));
			for (int type = F_RDLCK; type <= F_WRLCK; type++)
				in_child(lock_in_child, &(struct lock_question){kind, type});
			close(fd);
			in_child(lock_in_child, &(struct lock_question){kind, F_WRLCK});
			shm_unlink(NAME);
		}
}

static void body(void)
{
	ask_attributes();
	ask_modes();
	ask_numbers();
	ask_read_only();
	ask_offsets();
	ask_sizes();
	ask_mappings();
	ask_recreated();
	ask_locks();
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
