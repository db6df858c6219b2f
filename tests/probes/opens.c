/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* open and its kin in /dev/shm, with all their flags, on things of every kind. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/probes/tree.h"

#define F TOP "/file"
#define D TOP "/folder"
#define L TOP "/link"
#define N TOP "/new"

/* What a fortified program calls. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int folder, const char *path, int flags);
int __openat64_2(int folder, const char *path, int flags);

static void lay_out(void)
{
	tree_make(F, 0644, "text");
	must(mkdir(D, 0755) == 0);
	must(symlink("file", L) == 0);
	must(symlink("folder", TOP "/to-folder") == 0);
	must(symlink("nothing", TOP "/dangling") == 0);
	must(symlink("loop", TOP "/loop") == 0);
	must(mkfifo(TOP "/fifo", 0644) == 0);
}

static const char *const things[] = {
	F, D, L, TOP "/to-folder", TOP "/dangling", TOP "/loop", TOP "/none", TOP "/none/below",
	F "/below", L "/below", D "/", F "/", L "/", TOP "/to-folder/", TOP "/dangling/",
	"/dev/shm",
	"/dev/shm/", TOP "/.", TOP "/..", F "/.", F "/..", TOP "/none/..",
};

static const struct flag {
	const char *name;
	int flags;
} flags[] = {
	{"read", O_RDONLY},
	{"write", O_WRONLY},
	{"both", O_RDWR},
	{"create", O_RDWR | O_CREAT},
	{"read, create", O_RDONLY | O_CREAT},
	{"create, exclusive", O_RDWR | O_CREAT | O_EXCL},
	{"truncate", O_RDWR | O_TRUNC},
	{"append", O_WRONLY | O_APPEND},
	{"folder", O_RDONLY | O_DIRECTORY},
	{"folder, write", O_RDWR | O_DIRECTORY},
	{"no link", O_RDONLY | O_NOFOLLOW},
	{"no link, create", O_RDWR | O_CREAT | O_NOFOLLOW},
	{"no link, folder", O_RDONLY | O_NOFOLLOW | O_DIRECTORY},
	{"path", O_PATH},
	{"path, no link", O_PATH | O_NOFOLLOW},
	{"path, folder", O_PATH | O_DIRECTORY},
	{"path, folder, no link", O_PATH | O_DIRECTORY | O_NOFOLLOW},
	{"path, create", O_PATH | O_CREAT},
	{"no atime", O_RDONLY | O_NOATIME},
	{"exclusive", O_RDONLY | O_EXCL},
	{"no wait", O_RDONLY | O_NONBLOCK},
	{"sync", O_RDWR | O_SYNC},
	{"direct", O_RDONLY | O_DIRECT},
	{"folder, create", O_RDONLY | O_CREAT | O_DIRECTORY},
	{"unnamed", O_RDWR | O_TMPFILE},
	{"unnamed, exclusive", O_RDWR | O_TMPFILE | O_EXCL},
	{"unnamed, read", O_RDONLY | O_TMPFILE},
};

/* Flags that say what can be done from now on; others tell only how it was opened. */
enum {
	TOLD = O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_DIRECT | O_NOATIME | O_PATH,
};

static void ask_each(const char *thing, const struct flag *flag)
{
	struct stat status;
	bool is_root = !strstr(thing, "/top") || strcmp(thing, TOP "/..") == 0;
	bool of_link = flag->flags == (O_PATH | O_NOFOLLOW);
	int fd;

	/* Whose it is depends on whose daemon it is; and see ask_root. */
	if (is_root && ((flag->flags & O_NOATIME) || (flag->flags & O_EXCL)))
		return;
	fd = open(thing, flag->flags, 0640);
	if (fd < 0) {
		say("%s, %s: %s", thing, flag->name, outcome(-1));
	} else {
		must(fstat(fd, &status) == 0);
		say("%s, %s: mode %o, flags %o, close on exec %d", thing, flag->name,
		    of_link ? 0 : status.st_mode, fcntl(fd, F_GETFL) & TOLD, fcntl(fd, F_GETFD));
		close(fd);
	}
	/* What was made. */
	unlink(TOP "/none");
	unlink(TOP "/nothing");
	tree_make(F, 0644, "text");
}

static void ask_all(void)
{
	for (size_t i = 0; i < sizeof things / sizeof things[0]; i++)
		for (size_t j = 0; j < sizeof flags / sizeof flags[0]; j++)
			ask_each(things[i], &flags[j]);
}

static void ask_root(void)
{
	differs("opens: the root, exclusively", "%s",
	        tree_closed(open(SHM, O_RDWR | O_CREAT | O_EXCL, 0600)));
	differs("opens: the root with a slash, exclusively", "%s",
	        tree_closed(open(SHM "/", O_RDWR | O_CREAT | O_EXCL, 0600)));
}

static void ask_creation(void)
{
	int fd;

	umask(027);
	fd = open(N, O_RDWR | O_CREAT | O_CLOEXEC, 06777);
	say("close on exec: %d", fcntl(fd, F_GETFD));
	close(fd);
	tree_show(N);
	umask(0);
	ask_fd(creat(N, 0777));
	tree_show(N);
	must(unlink(N) == 0);
	ask_fd(creat(N, 07777));
	tree_show(N);
	ask_fd(creat(D, 0777));
	ask_fd(creat(TOP "/dangling", 0604));
	tree_show(TOP "/nothing");
	ask_fd(open(TOP "/dangling", O_RDWR | O_CREAT | O_EXCL, 0604));
	must(unlink(TOP "/nothing") == 0);
	umask(022);
	ask_fd(open(N, O_RDONLY | O_CREAT | O_TRUNC, 0));
	ask_fd(open(N, O_RDONLY));
	must(unlink(N) == 0);
	/* Opened for writing though the mode does not allow that. */
	fd = open(N, O_RDWR | O_CREAT, 0444);
	ask(write(fd, "x", 1));
	ask(close(fd));
	ask_fd(open(N, O_WRONLY));
	ask(unlink(N));
}

static void ask_forms(void)
{
	int folder = open(TOP, O_RDONLY | O_DIRECTORY);

	ask_fd(open64(F, O_RDWR));
	ask_fd(creat64(N, 0644));
	ask_fd(openat(AT_FDCWD, F, O_RDONLY));
	ask_fd(openat(folder, "file", O_RDONLY));
	ask_fd(openat64(folder, "file", O_RDONLY));
	ask_fd(openat(folder, F, O_RDONLY));
	ask_fd(openat(-1, F, O_RDONLY));
	ask_fd(openat(-1, "file", O_RDONLY));
	ask_fd(openat(STDOUT_FILENO + 900, "file", O_RDONLY));
	ask_fd(__open_2(F, O_RDONLY));
	ask_fd(__open64_2(F, O_RDWR));
	ask_fd(__openat_2(folder, "file", O_RDONLY));
	ask_fd(__openat64_2(folder, "file", O_RDWR));
	ask_fd(openat(folder, "", O_RDONLY));
	ask_fd(openat(folder, ".", O_RDONLY));
	ask_fd(openat(folder, "..", O_RDONLY));
	ask_fd(openat(folder, "new2", O_RDWR | O_CREAT | O_EXCL, 0600));
	tree_show(TOP "/new2");
	close(folder);
	ask_fd(openat(folder, "file", O_RDONLY));
	folder = open(F, O_RDONLY);
	ask_fd(openat(folder, "below", O_RDONLY));
	ask_fd(openat(folder, ".", O_RDONLY));
	close(folder);
	ask(unlink(N));
}

static void ask_streams(void)
{
	static const char *const modes[] = {"r", "w", "a", "r+", "w+", "a+", "wx", "re", "w+x",
	                                    "z"};
	char text[32] = "";
	FILE *stream;

	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		stream = fopen(F, modes[i]);
		say("fopen %s: %s", modes[i], outcome(stream ? 0 : -1));
		if (!stream)
			continue;
		say("write: %d, flush %s", fputs("line\n", stream) >= 0, outcome(fflush(stream)));
		rewind(stream);
		say("read: %d %s", fgets(text, sizeof text, stream) != NULL, text);
		say("close on exec: %d", fcntl(fileno(stream), F_GETFD));
		fclose(stream);
		tree_tell(F);
	}
	ask_pointer(fopen(TOP "/none", "r"));
	ask_pointer(fopen(D, "w"));
	ask_pointer(fopen(F "/below", "r"));
	ask_pointer(stream = fopen64(N, "w"));
	fputs("by stream", stream);
	ask_pointer(stream = freopen(F, "r", stream));
	tree_tell(N);
	say("read: %d %s", fgets(text, sizeof text, stream) != NULL, text);
	ask_pointer(stream = freopen64(N, "a", stream));
	fputs(", and more", stream);
	ask(fclose(stream));
	tree_tell(N);
	tree_show(N);
	stream = fopen(N, "r");
	ask_pointer(freopen(TOP "/none", "r", stream));
	stream = fopen("/dev/null", "r");
	ask_pointer(stream = freopen(N, "r", stream));
	ask_pointer(stream = freopen("/dev/null", "r", stream));
	fclose(stream);
	ask(unlink(N));
}

/* Each name is another, and made from the pattern. */
static void check_made(const char *pattern, size_t suffix, int (*make)(char *made))
{
	struct stat status;
	size_t length = strlen(pattern);
	char made[64];
	int fd = make(strcpy(made, pattern));

	say("%s: %s, a new name: %d", pattern, outcome(fd),
	    strlen(made) == length && strncmp(made, pattern, length - suffix - 6) == 0 &&
	            strcmp(made, pattern) != 0 &&
	            strcmp(made + length - suffix, pattern + length - suffix) == 0);
	if (fd < 0)
		return;
	say("the same file: %d", fstat(fd, &status) == 0 && status.st_size == 0);
	say("mode %o, flags %o, close on exec %d", status.st_mode, fcntl(fd, F_GETFL) & TOLD,
	    fcntl(fd, F_GETFD));
	close(fd);
	say("unlink: %s", outcome(unlink(made)));
}

#define MAKER(name, call)                                                                          \
	static int make_by_##name(char *made)                                                      \
	{                                                                                          \
		return call;                                                                       \
	}

MAKER(mkstemp, mkstemp(made))
MAKER(mkstemp64, mkstemp64(made))
MAKER(mkostemp, mkostemp(made, O_CLOEXEC | O_APPEND))
MAKER(mkostemp64, mkostemp64(made, O_CLOEXEC))
MAKER(mkstemps, mkstemps(made, 4))
MAKER(mkstemps64, mkstemps64(made, 4))
MAKER(mkostemps, mkostemps(made, 4, O_CLOEXEC))
MAKER(mkostemps64, mkostemps64(made, 4, O_SYNC))

static void ask_temporary(void)
{
	static const char plain[] = TOP "/t-XXXXXX";
	static const char with_suffix[] = TOP "/t-XXXXXX.ext";
	char made[64], relative[16] = "r-XXXXXX";

	check_made(plain, 0, make_by_mkstemp);
	check_made(plain, 0, make_by_mkstemp64);
	check_made(plain, 0, make_by_mkostemp);
	check_made(plain, 0, make_by_mkostemp64);
	check_made(with_suffix, 4, make_by_mkstemps);
	check_made(with_suffix, 4, make_by_mkstemps64);
	check_made(with_suffix, 4, make_by_mkostemps);
	check_made(with_suffix, 4, make_by_mkostemps64);
	ask_fd(mkstemp(strcpy(made, TOP "/t-XXXXX")));
	ask_fd(mkstemp(strcpy(made, TOP "/none/t-XXXXXX")));
	ask_fd(mkstemp(strcpy(made, F "/t-XXXXXX")));
	ask_fd(mkstemps(strcpy(made, with_suffix), 3));
	strcpy(made, plain);
	ask_pointer(mkdtemp(made));
	say("the name was made: %d", strcmp(made, plain) != 0);
	ask(rmdir(made));
	ask_pointer(mkdtemp(strcpy(made, TOP "/none/t-XXXXXX")));
	ask_pointer(mkdtemp(strcpy(made, TOP "/short")));
	must(chdir(TOP) == 0);
	ask_fd(mkstemp(relative));
	say("unlink: %s", outcome(unlink(relative)));
	must(chdir("/") == 0);
}

static void ask_unnamed(void)
{
	char path[64];
	int fd = open(TOP, O_RDWR | O_TMPFILE, 0640);
	struct stat status, named;

	must(fd >= 0 && fstat(fd, &status) == 0);
	say("mode %o, links %lu", status.st_mode, (unsigned long)status.st_nlink);
	ask(write(fd, "unnamed", 7));
	tree_names(TOP);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	differs("opens: an unnamed file is given a name that is taken", "%s",
	        outcome(linkat(AT_FDCWD, path, AT_FDCWD, F, AT_SYMLINK_FOLLOW)));
	differs("opens: an unnamed file is given a name", "%s",
	        outcome(linkat(AT_FDCWD, path, AT_FDCWD, N, AT_SYMLINK_FOLLOW)));
	must(fstat(fd, &status) == 0);
	differs("opens: links then", "%lu", (unsigned long)status.st_nlink);
	ask(write(fd, "!", 1));
	must(fstat(fd, &status) == 0);
	say("bytes: %ld", (long)status.st_size);
	differs("opens: it is there", "%d", access(N, F_OK) == 0 && stat(N, &named) == 0 &&
	        named.st_ino == status.st_ino && named.st_size == 8);
	close(fd);
	unlink(N);
	fd = open(TOP, O_WRONLY | O_TMPFILE | O_EXCL, 0600);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	differs("opens: one that is to have no name is given one", "%s",
	        outcome(linkat(AT_FDCWD, path, AT_FDCWD, N, AT_SYMLINK_FOLLOW)));
	close(fd);
	ask_fd(open(TOP "/none", O_RDWR | O_TMPFILE, 0600));
	ask_fd(open(F, O_RDWR | O_TMPFILE, 0600));
	ask_fd(open("/dev/shm", O_RDWR | O_TMPFILE, 0600));
}

/* What can be done by an O_PATH descriptor. */
static void ask_path_descriptors(void)
{
	char path[64];
	struct stat status;
	int fd = open(F, O_PATH);
	char byte;

	must(fd >= 0);
	ask(read(fd, &byte, 1));
	ask(fstat(fd, &status));
	say("size %ld", (long)status.st_size);
	ask(fchmod(fd, 0600));
	ask(ftruncate(fd, 0));
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	ask_fd(open(path, O_RDWR));
	ask(chmod(path, 0640));
	tree_show(F);
	differs("opens: an O_PATH descriptor is given a name", "%s",
	        outcome(linkat(AT_FDCWD, path, AT_FDCWD, N, AT_SYMLINK_FOLLOW)));
	close(fd);
	unlink(N);
	fd = open(L, O_PATH | O_NOFOLLOW);
	must(fd >= 0 && fstat(fd, &status) == 0);
	/* Outside of the mount it is a file that holds the text. */
	differs("opens: O_PATH of a link", "%s", S_ISLNK(status.st_mode) ? "a link" : "no link");
	close(fd);
	fd = open(D, O_PATH);
	must(fd >= 0);
	ask_fd(openat(fd, "new", O_RDWR | O_CREAT, 0600));
	ask(fchdir(fd));
	ask_fd(open("new", O_RDWR));
	ask(unlinkat(fd, "new", 0));
	must(chdir("/") == 0);
	close(fd);
}

static void body(void)
{
	lay_out();
	ask_all();
	ask_root();
	ask_creation();
	ask_forms();
	ask_streams();
	ask_temporary();
	ask_unnamed();
	ask_path_descriptors();
}

static void run(void)
{
	tree_run(body);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, run);
}
