/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls that only look: stat and its kin, access, readlink, realpath, statfs. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/probes/tree.h"

#define F TOP "/file"
#define D TOP "/folder"
#define L TOP "/link"

enum { TMPFS_MAGIC_NUMBER = 0x01021994 };

/* What programs before glibc 2.33 call. */
/* What glibc's headers had for programs of the time. */
enum { STAT_VERSION = sizeof(long) == 8 ? 1 : 3, MKNOD_VERSION = sizeof(long) == 8 ? 0 : 1 };

int __xstat(int version, const char *path, struct stat *ret_status);
int __lxstat(int version, const char *path, struct stat *ret_status);
int __fxstatat(int version, int folder, const char *path, struct stat *ret_status, int flags);
int __xstat64(int version, const char *path, struct stat64 *ret_status);
int __lxstat64(int version, const char *path, struct stat64 *ret_status);
int __fxstatat64(int version, int folder, const char *path, struct stat64 *ret_status, int flags);
int __xmknod(int version, const char *path, mode_t mode, dev_t *device);

static const char *const things[] = {
	F, D, L, D "/inner", TOP "/to-folder", TOP "/to-folder/", TOP "/to-folder/inner",
	TOP "/dangling", TOP "/dangling/", TOP "/loop", TOP "/loop/x", TOP "/none", TOP "/none/x",
	F "/",
	F "/x", F "/.", L "/", D "/", D "/.", D "/..", TOP "/fifo", "/dev/shm", "/dev/shm/",
	"/dev/shm/.",
};

static void lay_out(void)
{
	tree_make(F, 0640, "some text");
	must(mkdir(D, 0750) == 0);
	tree_make(D "/inner", 0600, "");
	must(symlink("file", L) == 0);
	must(symlink("folder", TOP "/to-folder") == 0);
	must(symlink("nothing", TOP "/dangling") == 0);
	must(symlink("loop", TOP "/loop") == 0);
	must(mkfifo(TOP "/fifo", 0620) == 0);
}

struct seen {
	mode_t mode;
	unsigned long links;
	long size;
	uid_t uid;
	gid_t gid;
	unsigned long long ino;
};

static void tell(const char *call, const char *thing, int result, const struct seen *seen)
{
	if (result < 0)
		say("%s %s: %s", call, thing, outcome(result));
	else
		say("%s %s: mode %o, links %lu, size %ld, own %d %d", call, thing, seen->mode,
		    seen->links, seen->size, seen->uid == geteuid(), seen->gid == getegid());
}

static struct seen seen_of(const struct stat *status)
{
	return (struct seen){status->st_mode, status->st_nlink, status->st_size,
	                     status->st_uid, status->st_gid, status->st_ino};
}

static void ask_stats(const char *thing)
{
	struct stat status = {0};
	struct stat64 status64 = {0};
	struct seen seen;
	struct statx more = {0};
	int result = stat(thing, &status);

	seen = seen_of(&status);
	tell("stat", thing, result, &seen);
	result = lstat(thing, &status);
	seen = seen_of(&status);
	tell("lstat", thing, result, &seen);
	result = stat64(thing, &status64);
	say("stat64: %s, %o", outcome(result), result ? 0 : status64.st_mode);
	result = lstat64(thing, &status64);
	say("lstat64: %s, %o", outcome(result), result ? 0 : status64.st_mode);
	result = statx(AT_FDCWD, thing, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &more);
	say("statx: %s", outcome(result));
	if (result == 0) {
		must(more.stx_ino == seen.ino && more.stx_mode == seen.mode);
		must(more.stx_nlink == seen.links && (long)more.stx_size == seen.size);
		must((more.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
	}
}

static void ask_old_forms(void)
{
	struct stat status;
	struct stat64 status64;
	dev_t device = 0;

	ask(__xstat(STAT_VERSION, F, &status));
	ask(__lxstat(STAT_VERSION, L, &status));
	say("a link: %d", S_ISLNK(status.st_mode));
	ask(__fxstatat(STAT_VERSION, AT_FDCWD, F, &status, 0));
	ask(__xstat64(STAT_VERSION, TOP "/none", &status64));
	ask(__lxstat64(STAT_VERSION, TOP "/loop", &status64));
	ask(__xstat64(STAT_VERSION, TOP "/loop", &status64));
	ask(__fxstatat64(STAT_VERSION, AT_FDCWD, L, &status64, AT_SYMLINK_NOFOLLOW));
	say("a link: %d", S_ISLNK(status64.st_mode));
	ask(__xmknod(MKNOD_VERSION, TOP "/old", S_IFREG | 0600, &device));
	tree_show(TOP "/old");
	ask(unlink(TOP "/old"));
}

static void ask_at(void)
{
	struct stat status, other;
	struct stat64 status64;
	struct statx more;
	int folder = open(D, O_RDONLY | O_DIRECTORY);
	int file = open(F, O_RDONLY);

	ask(fstatat(folder, "inner", &status, 0));
	ask(fstatat64(folder, "inner", &status64, 0));
	ask(fstatat(folder, "", &status, 0));
	ask(fstatat(folder, "", &status, AT_EMPTY_PATH));
	must(stat(D, &other) == 0);
	say("the folder itself: %d %d", status.st_ino == other.st_ino,
	    status.st_dev == other.st_dev);
	ask(fstatat(file, "", &status, AT_EMPTY_PATH));
	ask(fstatat(folder, "../link", &status, AT_SYMLINK_NOFOLLOW));
	say("a link: %d", S_ISLNK(status.st_mode));
	ask(fstatat(file, "inner", &status, 0));
	ask(fstatat(-1, "inner", &status, 0));
	ask(fstatat(-1, F, &status, 0));
	ask(fstatat(AT_FDCWD, F, &status, 0x40000000));
	ask(statx(folder, "inner", 0, STATX_ALL, &more));
	ask(statx(folder, "", AT_EMPTY_PATH, STATX_TYPE, &more));
	ask(statx(folder, "none", 0, STATX_TYPE, &more));
	ask(statx(AT_FDCWD, F, 0, 0x80000000, &more));
	ask(statx(AT_FDCWD, F, AT_STATX_FORCE_SYNC, STATX_ALL, &more));
	ask(statx(AT_FDCWD, F, AT_STATX_SYNC_TYPE, STATX_ALL, &more));
	close(folder);
	close(file);
}

/* One and the same thing by every way to it. */
static void check_identity(void)
{
	static const char *const ways[] = {
		F, L, TOP "/./file", TOP "/folder/../file", TOP "/to-folder/../file",
		"//dev//shm/top/file",
	};
	struct stat first, next, link;
	int fd = open(F, O_RDWR);

	must(stat(F, &first) == 0 && lstat(L, &link) == 0);
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
		say("%s is the file: %d", ways[i], stat(ways[i], &next) == 0 &&
		    next.st_ino == first.st_ino && next.st_dev == first.st_dev);
	say("fstat: %d", fstat(fd, &next) == 0 && next.st_ino == first.st_ino &&
	    next.st_dev == first.st_dev);
	differs("looks: links of an open file", "%lu", (unsigned long)next.st_nlink);
	say("the link is another thing: %d", link.st_ino != first.st_ino);
	must(stat(D, &next) == 0 && stat(TOP, &link) == 0);
	differs("looks: one device", "%d", next.st_dev == first.st_dev);
	say("of folders: %d", next.st_dev == link.st_dev);
	ask(write(fd, "longer than it was", 18));
	say("size: %ld", stat(F, &next) == 0 ? (long)next.st_size : -1);
	ask(ftruncate(fd, 10000));
	say("size: %ld", stat(F, &next) == 0 ? (long)next.st_size : -1);
	say("blocks: %ld", (long)next.st_blocks);
	differs("looks: preferred size of a write", "%ld", (long)next.st_blksize);
	ask(ftruncate(fd, 9));
	close(fd);
}

static void ask_access_of(const char *thing)
{
	say("access %s: %s, read %s, write %s, search %s", thing, outcome(access(thing, F_OK)),
	    outcome(access(thing, R_OK)), outcome(access(thing, W_OK)),
	    outcome(access(thing, X_OK)));
	say("faccessat: %s, in effect %s, of the link itself %s", outcome(faccessat(AT_FDCWD, thing,
	    R_OK, 0)), outcome(faccessat(AT_FDCWD, thing, W_OK, AT_EACCESS)),
	    outcome(faccessat(AT_FDCWD, thing, F_OK, AT_SYMLINK_NOFOLLOW)));
	say("eaccess %s, euidaccess %s", outcome(eaccess(thing, R_OK)),
	    outcome(euidaccess(thing, W_OK)));
}

static void ask_access(void)
{
	static const mode_t modes[] = {0, 0100, 0200, 0400, 0500, 0600, 0700, 0077};
	int folder = open(D, O_RDONLY | O_DIRECTORY);

	for (size_t i = 0; i < sizeof things / sizeof things[0]; i++)
		ask_access_of(things[i]);
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		must(chmod(F, modes[i]) == 0);
		say("mode %o", modes[i]);
		ask_access_of(F);
	}
	must(chmod(F, 0640) == 0);
	ask(access(F, 8));
	ask(faccessat(folder, "inner", R_OK, 0));
	ask(faccessat(folder, "none", F_OK, 0));
	ask(faccessat(folder, "", F_OK, 0));
	ask(faccessat(folder, "inner", R_OK, 0x40000000));
	ask(faccessat(-1, "inner", R_OK, 0));
	close(folder);
}

static void ask_readlink_of(const char *thing, size_t size)
{
	char text[64] = "";
	ssize_t length = readlink(thing, text, size);

	if (length < 0)
		say("readlink %s: %s", thing, outcome(-1));
	else
		say("readlink %s into %zu: %zd %.*s", thing, size, length, (int)length, text);
}

static void ask_readlink(void)
{
	char text[PATH_MAX] = "";
	int folder = open(TOP, O_PATH);
	size_t none = (size_t)(folder < 0); /* the compiler need not know */

	for (size_t i = 0; i < sizeof things / sizeof things[0]; i++)
		ask_readlink_of(things[i], 32);
	ask_readlink_of(L, 4);
	ask_readlink_of(L, 2);
	ask_readlink_of(L, none);
	say("readlinkat: %zd %s", readlinkat(folder, "link", text, sizeof text), text);
	ask(readlinkat(folder, "file", text, sizeof text));
	ask(readlinkat(folder, "none", text, sizeof text));
	ask(readlinkat(-1, "link", text, sizeof text));
	ask(readlinkat(-1, L, text, sizeof text));
	ask(symlink(tree_long("", 'y', 4095), TOP "/longest"));
	ask(readlink(TOP "/longest", text, sizeof text));
	say("its text: %zu", strspn(text, "y"));
	ask(access(TOP "/longest", F_OK));
	tree_show(TOP "/longest");
	ask(unlink(TOP "/longest"));
	close(folder);
}

static void ask_realpath(void)
{
	static const char *const more[] = {
		"//dev//shm//top//file", TOP "/./folder/../link", "/dev/../dev/shm/top/link",
		"/dev/shm/..",
		"/dev/shm/top/../..", TOP "/to-folder/../to-folder/inner", "/dev/shm/.././shm/top",
	};
	char real[PATH_MAX];
	char *made;

	for (size_t i = 0; i < sizeof things / sizeof things[0]; i++)
		say("realpath %s: %s", things[i], realpath(things[i], real) ? real : outcome(-1));
	for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
		say("realpath %s: %s", more[i], realpath(more[i], real) ? real : outcome(-1));
	made = realpath(L, NULL);
	say("of its own: %s", made ? made : outcome(-1));
	free(made);
	made = canonicalize_file_name(TOP "/to-folder/inner");
	say("canonicalize_file_name: %s", made ? made : outcome(-1));
	free(made);
	must(chdir(D) == 0);
	say("relative: %s", realpath("../link", real) ? real : outcome(-1));
	say("relative: %s", realpath("inner", real) ? real : outcome(-1));
	say("relative: %s", realpath(".", real) ? real : outcome(-1));
	say("relative: %s", realpath("", real) ? real : outcome(-1));
	differs("looks: realpath up and out", "%s",
	        realpath("../../../../etc/./passwd", real) ? real : outcome(-1));
	must(chdir("/") == 0);
}

static void ask_rooms(void)
{
	struct statfs room;
	struct statfs64 room64;
	struct statvfs same;
	int folder = open(D, O_RDONLY | O_DIRECTORY);
	int file = open(F, O_RDONLY);

	for (size_t i = 0; i < sizeof things / sizeof things[0]; i++) {
		if (strcmp(things[i], TOP "/fifo") != 0)
			say("statfs %s: %s, statvfs %s", things[i],
			    outcome(statfs(things[i], &room)),
			    outcome(statvfs(things[i], &same)));
	}
	must(statfs(TOP, &room) == 0);
	differs("looks: kind of filesystem", "%s",
	        room.f_type == TMPFS_MAGIC_NUMBER ? "tmpfs" : "another");
	say("names of up to %ld", (long)room.f_namelen);
	must(room.f_bavail > 0 && room.f_bavail <= room.f_bfree && room.f_bfree <= room.f_blocks);
	must(room.f_ffree > 0 && room.f_ffree <= room.f_files);
	ask(statfs64(F, &room64));
	/* Where there is room in it for what the daemon's memory may be. */
	if (sizeof room.f_blocks == 8) {
		ask(fstatfs(file, &room));
		ask(fstatfs(folder, &room));
		ask(fstatvfs(folder, &same));
		say("names of up to %ld, blocks of %ld", (long)same.f_namemax, (long)same.f_frsize);
		must(same.f_bavail > 0 && same.f_bavail <= same.f_blocks && same.f_ffree > 0);
	}
	say("pathconf: %ld %ld %ld", pathconf(TOP, _PC_NAME_MAX), pathconf(TOP, _PC_PATH_MAX),
	    pathconf(F, _PC_LINK_MAX));
	ask(pathconf(TOP "/none", _PC_NAME_MAX));
	say("fpathconf: %ld", fpathconf(folder, _PC_NAME_MAX));
	close(folder);
	close(file);
}

/* As tmpfs counts: each folder is two links and one for each folder in it, 20 bytes a name. */
static void ask_folders(void)
{
	tree_show(TOP);
	tree_show(D);
	ask(mkdir(D "/one", 0700));
	tree_show(D);
	ask(mkdir(D "/two", 0700));
	tree_make(D "/three", 0600, "x");
	tree_show(D);
	ask(rename(D "/one", TOP "/one"));
	tree_show(D);
	tree_show(TOP);
	ask(link(D "/three", D "/four"));
	ask(symlink("x", D "/five"));
	tree_show(D);
	tree_show(D "/three");
	ask(unlink(D "/three"));
	ask(unlink(D "/four"));
	ask(unlink(D "/five"));
	ask(rmdir(D "/two"));
	ask(rmdir(TOP "/one"));
	tree_show(D);
	tree_show(TOP);
}

/* A folder that is open, and what becomes of it. */
static void ask_open_folder(void)
{
	struct stat status;
	int folder;

	must(mkdir(TOP "/going", 0750) == 0 && mkdir(TOP "/going/below", 0750) == 0);
	folder = open(TOP "/going", O_RDONLY | O_DIRECTORY);
	must(fstat(folder, &status) == 0);
	say("mode %o, own %d %d", status.st_mode, status.st_uid == geteuid(),
	    status.st_gid == getegid());
	differs("looks: links of an open folder", "%lu", (unsigned long)status.st_nlink);
	differs("looks: size of an open folder", "%ld", (long)status.st_size);
	ask(fchmod(folder, 0710));
	ask(rename(TOP "/going", TOP "/gone"));
	tree_show(TOP "/gone");
	ask(unlinkat(folder, "below", AT_REMOVEDIR));
	ask(rmdir(TOP "/gone"));
	must(fstat(folder, &status) == 0);
	say("links: %lu", (unsigned long)status.st_nlink);
	ask(mkdirat(folder, "more", 0700));
	ask_fd(openat(folder, "more", O_RDWR | O_CREAT, 0600));
	differs("looks: . of a removed folder", "%s", tree_closed(openat(folder, ".", O_RDONLY)));
	differs("looks: .. of a removed folder", "%s", tree_closed(openat(folder, "..", O_RDONLY)));
	ask(fchdir(folder));
	say("getcwd: %s", outcome(getcwd((char[PATH_MAX]){0}, PATH_MAX) ? 0 : -1));
	ask_fd(open("x", O_RDWR | O_CREAT, 0600));
	ask(chdir("/"));
	close(folder);
}

static void body(void)
{
	lay_out();
	/* Links and size of /dev/shm depend on what else is there. */
	for (size_t i = 0; i < sizeof things / sizeof things[0]; i++)
		if (strncmp(things[i], TOP, strlen(TOP)) == 0)
			ask_stats(things[i]);
	ask_old_forms();
	ask_at();
	check_identity();
	ask_access();
	ask_readlink();
	ask_realpath();
	ask_rooms();
	ask_folders();
	ask_open_folder();
}

static void run(void)
{
	tree_run(body);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, run);
}
