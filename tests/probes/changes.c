/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls that change what a thing is: chmod, chown, utimensat, truncate; and which of its times
 * each call changes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#include "tests/probes/tree.h"

#define F TOP "/file"
#define D TOP "/folder"
#define L TOP "/link"
#define P TOP "/fifo"
#define DANGLING TOP "/dangling"

static const char *const things[] = {
	F, D, L, P, D "/", F "/", DANGLING, TOP "/loop", TOP "/none", TOP "/none/x", F "/x", D "/.",
};

static void lay_out(void)
{
	tree_make(F, 0644, "text");
	must(mkdir(D, 0755) == 0);
	must(symlink("file", L) == 0);
	must(symlink("nothing", DANGLING) == 0 && symlink("loop", TOP "/loop") == 0);
	must(mkfifo(P, 0644) == 0);
}

static mode_t mode_of(const char *path)
{
	struct stat status;

	return lstat(path, &status) < 0 ? 0 : status.st_mode;
}

static void ask_modes(void)
{
	static const mode_t modes[] = {0, 0777, 04755, 02755, 01755, 07777, 06000, 0644, 010644};
	int folder = open(TOP, O_RDONLY | O_DIRECTORY);
	int file = open(F, O_RDONLY);
	int inner = open(D, O_RDONLY | O_DIRECTORY);

	for (size_t i = 0; i < sizeof things / sizeof things[0]; i++)
		for (size_t j = 0; j < sizeof modes / sizeof modes[0]; j++)
			say("chmod %s %o: %s, %o %o", things[i], modes[j],
			    outcome(chmod(things[i], modes[j])), mode_of(things[i]), mode_of(F));
	ask(fchmodat(folder, "file", 0604, 0));
	ask(fchmodat(folder, "none", 0604, 0));
	ask(fchmodat(folder, "link", 0640, 0));
	ask(fchmodat(folder, "file", 0600, AT_SYMLINK_NOFOLLOW));
	differs("changes: chmod of a link itself", "%s",
	        outcome(fchmodat(folder, "link", 0600, AT_SYMLINK_NOFOLLOW)));
	ask(fchmodat(folder, "file", 0600, 0x8000));
	ask(fchmodat(-1, "file", 0600, 0));
	ask(lchmod(F, 0606));
	say("mode %o", mode_of(F));
	ask(fchmod(file, 0642));
	ask(fchmod(inner, 0711));
	say("modes %o %o", mode_of(F), mode_of(D));
	close(folder);
	close(file);
	close(inner);
}

static void ask_owners_of(const char *thing)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	say("chown %s: own %s, none %s, user %s, group %s", thing, outcome(chown(thing, uid, gid)),
	    outcome(chown(thing, (uid_t)-1, (gid_t)-1)), outcome(chown(thing, 4711, (gid_t)-1)),
	    outcome(chown(thing, (uid_t)-1, 4712)));
	tree_show(thing);
	say("back %s", outcome(chown(thing, uid, gid)));
	say("lchown %s: own %s, user %s, group %s", thing, outcome(lchown(thing, uid, gid)),
	    outcome(lchown(thing, 4711, (gid_t)-1)), outcome(lchown(thing, (uid_t)-1, 4712)));
	tree_show(thing);
	say("back %s", outcome(lchown(thing, uid, gid)));
}

/* Which bits go when an owner is set or a file is written. */
static void ask_set_ids(void)
{
	static const mode_t modes[] = {06755, 06655, 02745, 02765, 04644, 06700};
	int fd = open(F, O_RDWR);

	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		must(fchmod(fd, modes[i]) == 0);
		say("mode %o", mode_of(F));
		say("chown: %s %o", outcome(chown(F, geteuid(), (gid_t)-1)), mode_of(F));
		must(fchmod(fd, modes[i]) == 0);
		say("fchown: %s %o", outcome(fchown(fd, (uid_t)-1, getegid())), mode_of(F));
		must(fchmod(fd, modes[i]) == 0);
		say("nothing: %s %o", outcome(chown(F, (uid_t)-1, (gid_t)-1)), mode_of(F));
		must(fchmod(fd, modes[i]) == 0);
		say("write: %s %o", outcome(write(fd, "x", 1)), mode_of(F));
		must(fchmod(fd, modes[i]) == 0);
		say("truncate: %s %o", outcome(truncate(F, 3)), mode_of(F));
		must(fchmod(fd, modes[i]) == 0);
		say("ftruncate: %s %o", outcome(ftruncate(fd, 2)), mode_of(F));
		must(fchmod(fd, modes[i]) == 0);
		ask_fd(open(F, O_WRONLY | O_TRUNC));
		say("mode %o", mode_of(F));
	}
	must(fchmod(fd, 0644) == 0);
	must(chmod(D, 06755) == 0);
	say("folder: %s %o", outcome(chown(D, geteuid(), getegid())), mode_of(D));
	must(chmod(D, 0755) == 0);
	close(fd);
}

static void ask_owners(void)
{
	int folder = open(TOP, O_RDONLY | O_DIRECTORY);
	int inner = open(D, O_RDONLY | O_DIRECTORY);
	uid_t uid = geteuid();

	for (size_t i = 0; i < sizeof things / sizeof things[0]; i++)
		ask_owners_of(things[i]);
	ask(fchownat(folder, "file", uid, (gid_t)-1, 0));
	ask(fchownat(folder, "none", uid, (gid_t)-1, 0));
	ask(fchownat(folder, "dangling", uid, (gid_t)-1, 0));
	ask(fchownat(folder, "dangling", uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW));
	ask(fchownat(inner, "", uid, (gid_t)-1, AT_EMPTY_PATH));
	ask(fchownat(inner, "", uid, (gid_t)-1, 0));
	ask(fchownat(folder, "file", uid, (gid_t)-1, 0x8000));
	ask(fchown(inner, 4711, 4712));
	tree_show(D);
	ask(fchown(inner, uid, getegid()));
	close(folder);
	close(inner);
}

static bool is_now(struct timespec when)
{
	return llabs((long long)time(NULL) - when.tv_sec) < 60;
}

static void tell_time(const char *what, struct timespec when)
{
	if (is_now(when))
		say("  %s now", what);
	else
		say("  %s %ld.%09ld", what, (long)when.tv_sec, when.tv_nsec);
}

static void tell_times(const char *path)
{
	struct stat status;

	if (lstat(path, &status) < 0) {
		say("%s: %s", path, outcome(-1));
		return;
	}
	say("%s:", path);
	tell_time("accessed", status.st_atim);
	tell_time("modified", status.st_mtim);
	tell_time("changed", status.st_ctim);
}

static void ask_special_times(void)
{
	static const struct timespec now[] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
	static const struct timespec access_now[] = {{0, UTIME_NOW}, {7, 8}};
	static const struct timespec keep[] = {{0, UTIME_OMIT}, {11, 12}};
	static const struct timespec keep_both[] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
	static const struct timespec bad[] = {{0, 1000000000}, {0, 0}};
	static const struct timespec early[] = {{-5, 1}, {-1000, 999999999}};
	/* In 2242, or as late as there is. */
	enum { LATE = sizeof(time_t) == 8 ? 33 : 30 };
	static const struct timespec late[] = {
		{(time_t)1 << LATE, 1}, {((time_t)1 << LATE) + 5, 2},
	};
	struct stat status;

	ask(utimensat(AT_FDCWD, F, early, 0));
	tell_times(F);
	ask(utimensat(AT_FDCWD, F, late, 0));
	tell_times(F);
	ask(utimensat(AT_FDCWD, F, keep, 0));
	tell_times(F);
	ask(utimensat(AT_FDCWD, F, keep_both, 0));
	ask(utimensat(AT_FDCWD, TOP "/none", keep_both, 0));
	ask(utimensat(AT_FDCWD, F, bad, 0));
	tell_times(F);
	ask(utimensat(AT_FDCWD, F, access_now, 0));
	must(stat(F, &status) == 0);
	say("accessed now: %d, modified %ld", is_now(status.st_atim), (long)status.st_mtim.tv_sec);
	ask(utimensat(AT_FDCWD, F, now, 0));
	must(stat(F, &status) == 0);
	say("now: %d %d", is_now(status.st_atim), is_now(status.st_mtim));
	must(status.st_atim.tv_sec == status.st_mtim.tv_sec);
	ask(utimensat(AT_FDCWD, F, keep, 0));
	ask(utimensat(AT_FDCWD, F, NULL, 0));
	must(stat(F, &status) == 0);
	say("now: %d %d", is_now(status.st_atim), is_now(status.st_mtim));
}

static void ask_times(void)
{
	static const struct timespec times[] = {{1000, 1001}, {2000, 2002}};
	static const struct timeval coarse[] = {{3000, 3}, {4000, 4}};
	static const struct utimbuf seconds = {5000, 6000};
	int folder = open(TOP, O_RDONLY | O_DIRECTORY);
	int inner = open(D, O_RDONLY | O_DIRECTORY);
	int file = open(F, O_RDONLY);

	for (size_t i = 0; i < sizeof things / sizeof things[0]; i++) {
		say("utimensat %s: %s, of the link %s", things[i],
		    outcome(utimensat(AT_FDCWD, things[i], times, 0)),
		    outcome(utimensat(AT_FDCWD, things[i], times, AT_SYMLINK_NOFOLLOW)));
		tell_times(things[i]);
		say("utimes: %s, lutimes %s", outcome(utimes(things[i], coarse)),
		    outcome(lutimes(things[i], coarse)));
		tell_times(things[i]);
		say("utime: %s", outcome(utime(things[i], &seconds)));
		tell_times(things[i]);
	}
	ask(utimensat(folder, "file", times, 0));
	tell_times(F);
	ask(utimensat(folder, "none", times, 0));
	ask(utimensat(folder, "file", times, 0x8000));
	ask(futimesat(folder, "file", coarse));
	tell_times(F);
	ask(futimens(file, times));
	ask(futimens(inner, times));
	ask(futimes(file, coarse));
	tell_times(F);
	tell_times(D);
	ask(utime(F, NULL));
	ask(utimes(F, NULL));
	ask_special_times();
	close(folder);
	close(inner);
	close(file);
}

static void ask_truncation(void)
{
	struct stat status;
	int fd = open(F, O_RDWR);

	for (size_t i = 0; i < sizeof things / sizeof things[0]; i++)
		if (strcmp(things[i], P) != 0)
			say("truncate %s: %s", things[i], outcome(truncate(things[i], 100)));
	tree_show(F);
	ask(truncate64(F, 5));
	tree_show(F);
	ask(truncate(F, -1));
	ask(ftruncate(fd, -1));
	ask(truncate(F, 0));
	ask(ftruncate64(fd, 70000));
	must(fstat(fd, &status) == 0);
	say("size %ld, no memory yet: %d", (long)status.st_size, status.st_blocks == 0);
	ask(pwrite(fd, "end", 3, 69997));
	ask(truncate(F, 69998));
	ask(truncate(F, 70000));
	tree_show(F);
	say("beyond: %d", pread(fd, (char[2]){'x', 'x'}, 2, 69998) == 2);
	close(fd);
	fd = open(F, O_RDONLY);
	ask(ftruncate(fd, 1));
	close(fd);
	must(chmod(F, 0400) == 0);
	ask(truncate(F, 1));
	must(chmod(F, 0644) == 0);
	ask(truncate(F, 4));
	ask(truncate(P, 4));
}

/* Which times a call changes: a, m, c. */
enum { BEFORE = 1000 };

static void set_back(const char *path)
{
	static const struct timespec times[] = {{BEFORE, 0}, {BEFORE, 0}};

	if (access(path, F_OK) == 0 || errno != ENOENT)
		must(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) == 0);
}

static struct timespec changed_of(const char *path)
{
	struct stat status;

	return lstat(path, &status) < 0 ? (struct timespec){0} : status.st_ctim;
}

static void tell_changed(const char *path, struct timespec before)
{
	struct stat status;

	if (lstat(path, &status) < 0)
		return;
	say("  %s: %s%s%s", path, status.st_atim.tv_sec != BEFORE ? "a" : "-",
	    status.st_mtim.tv_sec != BEFORE ? "m" : "-",
	    status.st_ctim.tv_sec != before.tv_sec || status.st_ctim.tv_nsec != before.tv_nsec
	            ? "c" : "-");
}

static struct timespec before_file, before_top, before_folder;

static void get_ready(void)
{
	set_back(F);
	set_back(D);
	set_back(TOP);
	before_file = changed_of(F);
	before_top = changed_of(TOP);
	before_folder = changed_of(D);
	usleep(12000); /* the kernel's clock of files goes by ticks */
}

static void tell_all_changed(void)
{
	tell_changed(F, before_file);
	tell_changed(D, before_folder);
	tell_changed(TOP, before_top);
}

#define watch(call)                                                                                \
	do {                                                                                       \
		get_ready();                                                                       \
		ask(call);                                                                         \
		tell_all_changed();                                                                \
	} while (0)

static void ask_changed_by_names(void)
{
	watch(access(F, R_OK));
	watch(mkdir(TOP "/new", 0700));
	watch(rmdir(TOP "/new"));
	watch(link(F, TOP "/again"));
	watch(unlink(TOP "/again"));
	watch(link(F, D "/again"));
	watch(unlink(D "/again"));
	watch(symlink("x", TOP "/s"));
	watch(rename(TOP "/s", TOP "/t"));
	watch(unlink(TOP "/t"));
	watch(rename(F, TOP "/away"));
	watch(rename(TOP "/away", F));
	watch(rename(F, D "/moved"));
	watch(rename(D "/moved", F));
	watch(renameat2(AT_FDCWD, F, AT_FDCWD, D, RENAME_EXCHANGE));
	watch(renameat2(AT_FDCWD, F, AT_FDCWD, D, RENAME_EXCHANGE));
	watch(mkfifo(TOP "/p", 0600));
	watch(unlink(TOP "/p"));
	watch(mkdir(D, 0700));
	watch(unlink(TOP "/none"));
	watch(close(open(F, O_RDWR | O_CREAT, 0600)));
	watch(close(open(F, O_RDWR | O_CREAT | O_EXCL, 0600)));
	watch(close(open(TOP "/made", O_RDWR | O_CREAT | O_EXCL, 0600)));
	watch(unlink(TOP "/made"));
}

static void ask_changed_by_bytes(void)
{
	struct stat status;
	char bytes[4];
	int fd = open(F, O_RDWR);

	watch(write(fd, "abcd", 4));
	watch(pread(fd, bytes, 4, 0));
	get_ready();
	must(pread(fd, bytes, 0, 0) == 0 && stat(F, &status) == 0);
	differs("changes: times by reading nothing", "%s",
	        status.st_atim.tv_sec != BEFORE ? "a" : "-");
	watch(write(fd, "", 0));
	watch(ftruncate(fd, 4));
	watch(ftruncate(fd, 2));
	watch(truncate(F, 2));
	watch(truncate(F, 3));
	watch(close(open(F, O_RDWR | O_TRUNC)));
	watch(close(open(F, O_RDWR | O_TRUNC)));
	watch(fallocate(fd, 0, 0, 4096));
	watch(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 8192));
	watch(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 4096));
	close(fd);
}

static void ask_changed_by_attributes(void)
{
	int fd = open(D, O_RDONLY | O_DIRECTORY);

	watch(chmod(F, 0640));
	watch(chmod(F, 0640));
	watch(chown(F, geteuid(), (gid_t)-1));
	watch(chown(F, (uid_t)-1, (gid_t)-1));
	watch(chmod(D, 0700));
	watch(fchmod(fd, 0710));
	watch(utimensat(AT_FDCWD, F, NULL, 0));
	watch(utimensat(AT_FDCWD, F, (struct timespec[]){{0, UTIME_OMIT}, {0, UTIME_NOW}}, 0));
	watch(utimensat(AT_FDCWD, D, (struct timespec[]){{0, UTIME_NOW}, {0, UTIME_OMIT}}, 0));
	watch(setxattr(F, "trusted.x", "y", 1, 0));
	close(fd);
}

static void ask_umasks(void)
{
	static const mode_t masks[] = {0, 022, 027, 077, 0777, 01000};

	for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
		umask(masks[i]);
		must(mkdir(TOP "/d", 0777) == 0 && mkfifo(TOP "/p", 0666) == 0);
		must(mknod(TOP "/n", S_IFREG | 06777, 0) == 0 && mkdir(TOP "/e", 07777) == 0);
		must(symlink("x", TOP "/s") == 0);
		say("umask %o", masks[i]);
		tree_show(TOP "/d");
		tree_show(TOP "/e");
		tree_show(TOP "/p");
		tree_show(TOP "/n");
		tree_show(TOP "/s");
		must(rmdir(TOP "/d") == 0 && rmdir(TOP "/e") == 0 && unlink(TOP "/p") == 0);
		must(unlink(TOP "/n") == 0 && unlink(TOP "/s") == 0);
	}
	umask(022);
}

static void body(void)
{
	lay_out();
	ask_modes();
	must(chmod(F, 0644) == 0 && chmod(D, 0755) == 0);
	ask_set_ids();
	ask_owners();
	ask_times();
	ask_truncation();
	ask_changed_by_names();
	ask_changed_by_bytes();
	ask_changed_by_attributes();
	ask_umasks();
}

static void run(void)
{
	tree_run(body);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, run);
}
