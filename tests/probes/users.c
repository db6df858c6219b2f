/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Several users in one /dev/shm: the sticky rule, search permission, set-group-id folders, groups,
 * and who may change what. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/probes/tree.h"

enum { ONE = 1001, TWO = 1002, GROUP = 2001 };

#define STICKY TOP "/sticky"
#define OPEN TOP "/open"
#define CLOSED TOP "/closed"

static void leave_things(void)
{
	tree_make("file", 0644, "one's");
	tree_make("file2", 0666, "one's");
	must(mkdir("empty", 0777) == 0 && mkdir("full", 0777) == 0 && chmod("full", 0777) == 0);
	tree_make("full/inner", 0644, "");
	must(symlink("file", "link") == 0 && mkfifo("fifo", 0666) == 0);
}

/* Here, as another. */
static void try_things(void)
{
	ask_fd(open("own", O_RDWR | O_CREAT | O_EXCL, 0644));
	ask(rename("file", "moved"));
	ask(rename("own", "file"));
	ask(rename("own", "own2"));
	ask(renameat2(AT_FDCWD, "own2", AT_FDCWD, "file", RENAME_EXCHANGE));
	ask(renameat2(AT_FDCWD, "file", AT_FDCWD, "own2", RENAME_EXCHANGE));
	ask(rename("file", "full/file"));
	ask(rename("own2", "full/own"));
	ask(rename("full/inner", "inner"));
	ask(link("file", "linked"));
	ask(link("file2", "linked2"));
	ask(link("link", "linked3"));
	ask(link("fifo", "linked4"));
	ask(unlink("file"));
	ask(unlink("file2"));
	ask(unlink("linked2"));
	ask(unlink("link"));
	ask(unlink("fifo"));
	ask(rmdir("empty"));
	ask(rmdir("full"));
	ask(rename("empty", "empty2"));
	ask(unlink("full/own"));
	ask(unlink("full/inner"));
	ask_fd(open("full/new", O_RDWR | O_CREAT, 0600));
	ask(mkdir("full/new-folder", 0700));
	ask_fd(open("new", O_RDWR | O_CREAT | O_EXCL, 0600));
	ask(unlink("new"));
}

static void try_changes(void)
{
	ask(chmod("file", 0666));
	ask(chown("file", TWO, (gid_t)-1));
	ask(chown("file", (uid_t)-1, TWO));
	ask(lchown("link", TWO, (gid_t)-1));
	ask(truncate("file", 0));
	ask(truncate("file2", 2));
	ask(utimensat(AT_FDCWD, "file", NULL, 0));
	ask(utimensat(AT_FDCWD, "file2", NULL, 0));
	ask(utimensat(AT_FDCWD, "file2", (struct timespec[]){{1, 0}, {2, 0}}, 0));
	ask(utimensat(AT_FDCWD, "file2", (struct timespec[]){{1, UTIME_OMIT}, {2, UTIME_OMIT}}, 0));
	ask(utimensat(AT_FDCWD, "file2", (struct timespec[]){{1, UTIME_NOW}, {2, UTIME_OMIT}}, 0));
	ask(setxattr("file", "user.x", "x", 1, 0));
	ask(setxattr("file2", "user.x", "x", 1, 0));
	ask(getxattr("file", "user.x", NULL, 0));
	ask(setxattr("full", "user.x", "x", 1, 0));
	ask(getxattr("file", "trusted.x", NULL, 0));
	ask_fd(open("file", O_RDONLY | O_NOATIME));
	ask_fd(open("file2", O_RDWR));
	ask_fd(open("file", O_RDWR));
	ask_fd(open("file", O_RDONLY | O_TRUNC));
	ask_fd(open("file", O_RDWR | O_CREAT, 0600));
	ask_fd(open("file2", O_RDWR | O_CREAT, 0600));
	ask_fd(open("fifo", O_RDWR | O_CREAT | O_NONBLOCK, 0600));
	ask_fd(open("link", O_RDONLY));
	ask(chmod("own", 02755));
	ask(chmod("full", 0700));
	ask(access("file", W_OK));
	ask(faccessat(AT_FDCWD, "file", W_OK, AT_EACCESS));
}

static void tell_all(const char *folder)
{
	static const char *const names[] = {"file", "file2", "empty", "full", "link", "fifo", "own",
		"own2", "moved", "linked", "linked2", "linked3", "linked4", "inner", "new"};
	char path[64];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct stat status;

		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		if (lstat(path, &status) == 0)
			say("  %s: %o of %u:%u, %lu links, %ld bytes", names[i], status.st_mode,
			    status.st_uid, status.st_gid, (unsigned long)status.st_nlink,
			    (long)status.st_size);
	}
}

static void in_folder(const char *folder, mode_t mode, uid_t owner)
{
	umask(0);
	must(mkdir(folder, 0777) == 0 && chmod(folder, 0777) == 0 && chdir(folder) == 0);
	tree_as(ONE, leave_things);
	must(chmod(folder, mode) == 0 && chown(folder, owner, owner) == 0);
	say("%s: mode %o of %u", folder, mode, owner);
	tree_as(TWO, try_things);
	tell_all(folder);
	tree_as(TWO, try_changes);
	tell_all(folder);
	umask(022);
	must(chdir("/") == 0);
}

static void ask_sticky(void)
{
	in_folder(STICKY, 01777, 0);
	in_folder(TOP "/sticky-one", 01777, ONE);
	in_folder(TOP "/sticky-two", 01777, TWO);
	in_folder(OPEN, 0777, 0);
	in_folder(CLOSED, 0755, ONE);
	in_folder(TOP "/group", 01775, 0);
}

/* In the root folder itself, which is sticky. */
static void leave_in_root(void)
{
	tree_make(SHM "/users-file", 0666, "one's");
	must(mkdir(SHM "/users-folder", 0777) == 0);
}

static void try_in_root(void)
{
	ask(unlink(SHM "/users-file"));
	ask(rename(SHM "/users-file", SHM "/users-moved"));
	ask(rename(TOP "/nothing", SHM "/users-file"));
	ask(rmdir(SHM "/users-folder"));
	ask_fd(open(SHM "/users-file", O_RDWR));
	ask(chmod(SHM, 0777));
	ask(mkdir(SHM "/users-own", 0700));
	ask(rename(SHM "/users-own", SHM "/users-own2"));
	ask(rmdir(SHM "/users-own2"));
	ask(rename(TOP, SHM "/users-top"));
}

static void remove_in_root(void)
{
	ask(unlink(SHM "/users-file"));
	ask(rmdir(SHM "/users-folder"));
}

static void ask_root_folder(void)
{
	struct stat status;

	tree_as(ONE, leave_in_root);
	tree_as(TWO, try_in_root);
	tree_as(ONE, remove_in_root);
	must(stat(SHM, &status) == 0);
	say("mode %o of %u:%u", status.st_mode, status.st_uid, status.st_gid);
}

static void search(void)
{
	ask_fd(open(TOP "/private/file", O_RDONLY));
	ask(access(TOP "/private/file", F_OK));
	ask(access(TOP "/private/none", F_OK));
	ask(access(TOP "/private/..", F_OK));
	ask_fd(open(TOP "/private/../open/file2", O_RDONLY));
	ask_fd(open(TOP "/private", O_RDONLY));
	ask(chdir(TOP "/private"));
	ask(mkdir(TOP "/private/x", 0700));
	ask(unlink(TOP "/private/file"));
	ask(rename(TOP "/private/file", TOP "/open/stolen"));
	ask(link(TOP "/private/file", TOP "/open/stolen"));
	ask_fd(open(TOP "/listed/file", O_RDONLY));
	tree_names(TOP "/listed");
	ask_fd(open(TOP "/searched/file", O_RDONLY));
	tree_names(TOP "/searched");
	ask(chdir(TOP "/searched"));
	ask_fd(open("file", O_RDONLY));
	ask_fd(open(".", O_RDONLY));
	ask(chdir("/"));
	ask_fd(open(TOP "/into-private/file", O_RDONLY));
	ask(readlink(TOP "/into-private", (char[64]){0}, 64));
}

static void ask_search(void)
{
	static const struct {
		const char *name;
		mode_t mode;
	} folders[] = {{"private", 0700}, {"listed", 0744}, {"searched", 0711}};
	char path[64];

	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		snprintf(path, sizeof path, TOP "/%s", folders[i].name);
		must(mkdir(path, folders[i].mode) == 0);
		strcat(path, "/file");
		tree_make(path, 0644, "");
	}
	must(symlink("private", TOP "/into-private") == 0);
	tree_as(TWO, search);
}

/* An open folder stays usable as far as its mode goes. */
static void ask_kept_folder(void)
{
	int folder = open(TOP "/private", O_RDONLY | O_DIRECTORY);
	pid_t pid = fork();

	if (pid == 0) {
		must(setgroups(0, NULL) == 0 && setresgid(TWO, TWO, TWO) == 0);
		must(setresuid(TWO, TWO, TWO) == 0);
		ask_fd(openat(folder, "file", O_RDONLY));
		ask(fchdir(folder));
		ask(faccessat(folder, "file", F_OK, 0));
		ask(fchmod(folder, 0777));
		_exit(EXIT_SUCCESS);
	}
	must(await_child(pid) == 0);
	close(folder);
}

static void make_in_group(void)
{
	ask_fd(open(TOP "/setgid/file", O_RDWR | O_CREAT, 02775));
	ask(mkdir(TOP "/setgid/folder", 0755));
	ask(mkfifo(TOP "/setgid/fifo", 0644));
	ask(symlink("x", TOP "/setgid/link"));
	ask(mkdir(TOP "/setgid/folder/deeper", 0700));
	ask_fd(open(TOP "/plain/file", O_RDWR | O_CREAT, 02775));
	ask(chmod(TOP "/setgid/file", 02775));
	ask(chown(TOP "/plain/file", (uid_t)-1, GROUP));
	ask(chmod(TOP "/setgid", 0777));
}

static void ask_groups(void)
{
	static const char *const made[] = {"setgid/file", "setgid/folder", "setgid/fifo",
	                                   "setgid/link",
		"setgid/folder/deeper", "plain/file"};
	struct stat status;

	umask(0);
	must(mkdir(TOP "/setgid", 0777) == 0 && chown(TOP "/setgid", 0, GROUP) == 0);
	must(chmod(TOP "/setgid", 02777) == 0 && mkdir(TOP "/plain", 0777) == 0);
	tree_as(TWO, make_in_group);
	for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
		char path[64];

		snprintf(path, sizeof path, TOP "/%s", made[i]);
		must(lstat(path, &status) == 0);
		say("%s: %o of %u:%u", made[i], status.st_mode, status.st_uid, status.st_gid);
	}
	ask_fd(open(TOP "/setgid/roots", O_RDWR | O_CREAT, 02755));
	must(lstat(TOP "/setgid/roots", &status) == 0);
	say("%o of %u:%u", status.st_mode, status.st_uid, status.st_gid);
	umask(022);
}

/* A member of the group by its list. */
static void as_member(void *ignored)
{
	gid_t groups[] = {5, GROUP};

	(void)ignored;
	must(setgroups(2, groups) == 0 && setresgid(ONE, ONE, ONE) == 0);
	must(setresuid(ONE, ONE, ONE) == 0);
	ask_fd(open(TOP "/grouped/file", O_RDWR));
	ask_fd(open(TOP "/grouped/new", O_RDWR | O_CREAT, 0660));
	ask(chown(TOP "/grouped/new", (uid_t)-1, GROUP));
	ask(chown(TOP "/grouped/new", (uid_t)-1, 4711));
	ask(chmod(TOP "/grouped/new", 02770));
	tree_show(TOP "/grouped/new");
	ask(unlink(TOP "/grouped/file"));
	tree_names(TOP "/grouped");
}

static void ask_membership(void)
{
	must(mkdir(TOP "/grouped", 0770) == 0 && chown(TOP "/grouped", 0, GROUP) == 0);
	must(chmod(TOP "/grouped", 0770) == 0);
	tree_make(TOP "/grouped/file", 0660, "the group's");
	must(chown(TOP "/grouped/file", 0, GROUP) == 0);
	must(in_child(as_member, NULL) == 0);
}

/* Which bits a stranger's write takes away. */
static void write_to_them(void)
{
	int fd = open(TOP "/ids", O_RDWR);

	ask(write(fd, "x", 1));
	close(fd);
	ask(truncate(TOP "/ids2", 1));
	ask_fd(open(TOP "/ids3", O_WRONLY | O_TRUNC));
}

static void ask_set_ids(void)
{
	struct stat status;

	tree_make(TOP "/ids", 06777, "x");
	tree_make(TOP "/ids2", 06777, "xyz");
	tree_make(TOP "/ids3", 06777, "xyz");
	tree_as(TWO, write_to_them);
	must(stat(TOP "/ids", &status) == 0);
	say("written: %o", status.st_mode);
	must(stat(TOP "/ids2", &status) == 0);
	say("truncated: %o", status.st_mode);
	must(stat(TOP "/ids3", &status) == 0);
	say("opened: %o", status.st_mode);
	must(chown(TOP "/ids", ONE, ONE) == 0 && chmod(TOP "/ids", 06777) == 0);
	must(chown(TOP "/ids", TWO, (gid_t)-1) == 0 && stat(TOP "/ids", &status) == 0);
	say("root gave it away: %o", status.st_mode);
}

/* Links that others made in a sticky folder: the host may protect against them. */
static void follow(void)
{
	ask_fd(open(STICKY "/trap", O_RDONLY));
	ask_fd(open(STICKY "/fifo", O_RDWR | O_CREAT | O_NONBLOCK, 0600));
	ask_fd(open(STICKY "/file2", O_RDWR | O_CREAT, 0600));
	ask(readlink(STICKY "/trap", (char[64]){0}, 64));
}

static void set_trap(void)
{
	must(symlink(TOP "/target", STICKY "/trap") == 0);
}

static void ask_protection(void)
{
	tree_make(TOP "/target", 0644, "");
	tree_as(ONE, set_trap);
	tree_as(TWO, follow);
	follow();
}

static void body(void)
{
	ask_sticky();
	ask_root_folder();
	ask_search();
	ask_kept_folder();
	ask_groups();
	ask_membership();
	ask_set_ids();
	ask_protection();
}

static void run(void)
{
	if (geteuid() != 0)
		skip("only root can be one user after the other");
	tree_run(body);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, run);
}
