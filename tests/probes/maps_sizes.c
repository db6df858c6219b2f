/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes of files that can be mapped: ftruncate, truncate, fallocate in each mode, posix_fallocate;
 * and memfd_create. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/probes/mapping.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *error_name(int error)
{
	return error ? strerrorname_np(error) : "ok";
}

static void ask_ftruncate(enum mapping_kind kind)
{
	static const off_t sizes[] = {0, 1, PAGE, PAGE + 1, 100L * PAGE, -1, INT64_MIN, 3};
	int fd = mapping_open(kind, O_RDWR, 2 * PAGE);
	int reader = mapping_again(O_RDONLY);
	int writer = mapping_again(O_WRONLY);

	for (size_t i = 0; i < COUNT(sizes); i++) {
		tell("to %ld: %s", (long)sizes[i], outcome(ftruncate(fd, sizes[i])));
		tell("size %ld: %s %s", size_of(fd), contents(fd, 0), contents(fd, PAGE));
	}
	tell("offset: %ld", (long)lseek(fd, 0, SEEK_CUR));
	ask(ftruncate(reader, 5));
	ask(ftruncate(writer, 5));
	tell("size %ld", size_of(fd));
	ask(ftruncate(mapping_again(O_PATH), 5));
}

static void ask_truncate(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDWR, PAGE);
	char long_path[PATH_MAX + 10];

	if (kind != MAPPING_FILE)
		return;
	memset(long_path, 'x', sizeof long_path - 1);
	long_path[sizeof long_path - 1] = '\0';
	ask(truncate(mapping_path(), 10));
	tell("size %ld", size_of(fd));
	ask(truncate(mapping_path(), 2 * PAGE));
	tell("size %ld: %s", size_of(fd), contents(fd, 100));
	ask(truncate(mapping_path(), -1));
	ask(truncate("/tmp", 0));
	ask(truncate("/tmp/there-is-no-such-file", 0));
	ask(truncate("/proc/self/exe/beyond", 0));
	ask(truncate("", 0));
	ask(truncate(long_path, 0));
}

struct mode {
	const char *name;
	int value;
};

static const struct mode modes[] = {
	{"0", 0},
	{"KEEP_SIZE", FALLOC_FL_KEEP_SIZE},
	{"PUNCH_HOLE", FALLOC_FL_PUNCH_HOLE},
	{"PUNCH_HOLE|KEEP_SIZE", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE},
	{"ZERO_RANGE", FALLOC_FL_ZERO_RANGE},
	{"ZERO_RANGE|KEEP_SIZE", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE},
	{"COLLAPSE_RANGE", FALLOC_FL_COLLAPSE_RANGE},
	{"INSERT_RANGE", FALLOC_FL_INSERT_RANGE},
	{"UNSHARE_RANGE", FALLOC_FL_UNSHARE_RANGE},
	{"PUNCH_HOLE|ZERO_RANGE", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE | 1},
	{"an unknown one", 1 << 20},
	{"all", -1},
};

static void ask_fallocate(enum mapping_kind kind)
{
	static const struct {
		off_t offset, length;
	} ranges[] = {{PAGE, PAGE}, {PAGE + 10, 20}, {2L * PAGE, 3L * PAGE}, {0, 0}, {-1, 10},
	              {10, -1}, {INT64_MAX - 10, 100}, {10L * PAGE, PAGE}};

	for (size_t i = 0; i < COUNT(modes); i++)
		for (size_t j = 0; j < COUNT(ranges); j++) {
			int fd = mapping_open(kind, O_RDWR, 3L * PAGE);
			int result = fallocate(fd, modes[i].value, ranges[j].offset,
			                       ranges[j].length);

			tell("%s, %ld %ld: %s", modes[i].name, (long)ranges[j].offset,
			     (long)ranges[j].length, outcome(result));
			tell("size %ld: %s %s %s %s", size_of(fd), contents(fd, 0),
			     contents(fd, PAGE), contents(fd, PAGE + 15), contents(fd, 2L * PAGE));
			close(fd);
		}
}

/* The same where a mapping shows it. */
static void ask_fallocate_mapped(enum mapping_kind kind)
{
	for (size_t i = 0; i < COUNT(modes); i++) {
		int fd = mapping_open(kind, O_RDWR, 3L * PAGE);
		char *memory = map_apart(fd, 4L * PAGE, READ_WRITE, MAP_SHARED);
		int result;

		memory[PAGE] = 'x';
		memory[2 * PAGE] = 'y';
		result = fallocate(fd, modes[i].value, PAGE, PAGE);
		tell("%s: %s: %s", modes[i].name, outcome(result), pages(memory, 4));
		result = fallocate(fd, modes[i].value, 3L * PAGE, PAGE);
		tell("%s: %s: %s", modes[i].name, outcome(result), pages(memory, 4));
		must(munmap(memory, 4L * PAGE) == 0);
		tell("the file: %s %s, size %ld", contents(fd, PAGE), contents(fd, 2L * PAGE),
		     size_of(fd));
		close(fd);
	}
}

static void ask_posix_fallocate(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDWR, PAGE + 10);
	int reader = mapping_again(O_RDONLY);

	errno = 0;
	tell("within: %s", error_name(posix_fallocate(fd, 0, PAGE)));
	tell("size %ld", size_of(fd));
	tell("beyond: %s", error_name(posix_fallocate(fd, 10, 3L * PAGE)));
	tell("size %ld: %s %s", size_of(fd), contents(fd, PAGE), contents(fd, 2L * PAGE));
	tell("nothing: %s", error_name(posix_fallocate(fd, 0, 0)));
	tell("negative: %s", error_name(posix_fallocate(fd, -1, 10)));
	tell("negative length: %s", error_name(posix_fallocate(fd, 10, -1)));
	tell("too large: %s", error_name(posix_fallocate(fd, INT64_MAX - 10, 100)));
	tell("to read: %s", error_name(posix_fallocate(reader, 0, PAGE)));
	tell("errno: %d, size %ld", errno, size_of(fd));
}

static void ask_readers(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDONLY, PAGE);
	int appender = mapping_again(O_WRONLY | O_APPEND);

	ask(fallocate(fd, 0, 0, PAGE));
	ask(fallocate(fd, -1, 0, PAGE));
	ask(fallocate(fd, 0, 0, 0));
	ask(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE));
	ask(fallocate(appender, 0, 0, 2L * PAGE));
	ask(fallocate(appender, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE));
	tell("size %ld: %s", size_of(fd), contents(fd, 0));
}

/* A limit on the sizes of files: EFBIG, and a signal, which is ignored here. */
static void ask_limit(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDWR, PAGE);

	must(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	must(setrlimit(RLIMIT_FSIZE, &(struct rlimit){10L * PAGE, RLIM_INFINITY}) == 0);
	ask(ftruncate(fd, 10L * PAGE));
	ask(ftruncate(fd, 10L * PAGE + 1));
	ask(fallocate(fd, 0, 0, 11L * PAGE));
	tell("posix_fallocate: %s", error_name(posix_fallocate(fd, 0, 11L * PAGE)));
	tell("size %ld", size_of(fd));
}

static const struct mapping_group groups[] = {
	{"ftruncate", ask_ftruncate}, {"truncate", ask_truncate}, {"fallocate", ask_fallocate},
	{"mapped", ask_fallocate_mapped}, {"posix_fallocate", ask_posix_fallocate},
	{"readers", ask_readers}, {"limit", ask_limit}, {NULL, NULL},
};

static void ask_thing(const char *what, int fd)
{
	tell("%s: ftruncate %s", what, outcome(ftruncate(fd, 10)));
	tell("%s: ftruncate to -1 %s", what, outcome(ftruncate(fd, -1)));
	tell("%s: fallocate %s", what, outcome(fallocate(fd, 0, 0, 10)));
	tell("%s: fallocate of nothing %s", what, outcome(fallocate(fd, 0, 0, 0)));
	tell("%s: fallocate in a strange mode %s", what, outcome(fallocate(fd, 1 << 20, 0, 10)));
	tell("%s: posix_fallocate %s", what, error_name(posix_fallocate(fd, 0, 10)));
}

static void ask_things(enum mapping_kind kind)
{
	int ends[2], sockets[2];

	(void)kind;
	must(pipe(ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
	ask_thing("no descriptor", -1);
	ask_thing("a number far off", 100000);
	ask_thing("a folder", open("/tmp", O_RDONLY | O_DIRECTORY));
	ask_thing("a folder's path", open("/tmp", O_PATH));
	ask_thing("a pipe to write", ends[1]);
	ask_thing("a pipe to read", ends[0]);
	ask_thing("a socket", sockets[0]);
	ask_thing("/dev/null", open("/dev/null", O_RDWR));
	ask_thing("/dev/zero", open("/dev/zero", O_RDWR));
}

static void ask_new(const char *what, const char *name, unsigned flags)
{
	int fd = memfd_create(name, flags);
	struct stat status;

	tell("%s: %s", what, outcome(fd));
	if (fd < 0)
		return;
	must(fstat(fd, &status) == 0);
	tell("mode %o, size %ld, links %ld", status.st_mode, (long)status.st_size,
	     (long)status.st_nlink);
	tell("descriptor %d, access %o", fcntl(fd, F_GETFD), fcntl(fd, F_GETFL) & O_ACCMODE);
	close(fd);
}

static void ask_memfds(enum mapping_kind kind)
{
	char name[300];

	(void)kind;
	memset(name, 'n', sizeof name);
	name[249] = '\0';
	ask_new("plain", "plain", 0);
	ask_new("without a name", "", 0);
	ask_new("a slash", "a/b", 0);
	ask_new("249 bytes", name, 0);
	name[249] = 'n';
	name[250] = '\0';
	ask_new("250 bytes", name, 0);
	ask_new("CLOEXEC", "x", MFD_CLOEXEC);
	ask_new("EXEC", "x", 16);
	ask_new("NOEXEC_SEAL and EXEC", "x", 8 | 16);
	ask_new("an unknown flag", "x", 1 << 15);
	ask_new("a size without HUGETLB", "x", 21U << 26);
	ask_new("all flags", "x", ~0U);
}

/* It goes to others by its number, and is a file of its own. */
static void ask_memfd_use(enum mapping_kind kind)
{
	int fd = memfd_create("use", 0);
	int other = memfd_create("use", 0);
	char *memory;

	(void)kind;
	tell("empty: %s, size %ld", contents(fd, 0), size_of(fd));
	must(write(fd, "text", 4) == 4);
	tell("size %ld, the other's %ld", size_of(fd), size_of(other));
	ask(ftruncate(fd, PAGE));
	memory = map(fd, PAGE, READ_WRITE, MAP_SHARED);
	tell("mapped: %.4s", memory);
	memory[0] = 'T';
	close(fd);
	tell("closed: %.4s", memory);
	must(munmap(memory, PAGE) == 0);
	tell("the other's: %s, %ld", contents(other, 0), size_of(other));
}

static const struct mapping_group single[] = {
	{"things", ask_things},
	{"memfd_create", ask_memfds},
	{"use", ask_memfd_use},
	{NULL, NULL},
};

static void body(void)
{
	mapping_run(groups);
	mapping_run_once(single);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
