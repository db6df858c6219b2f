/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls that change names: rename, link, symlink, unlink, mkdir, rmdir, remove. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/probes/tree.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* What is made anew for each question. */
static const char *const things[] = {
	TOP "/file", TOP "/other", TOP "/empty", TOP "/full", TOP "/full/inner", TOP "/full/deep",
	TOP "/link", TOP "/to-folder", TOP "/dangling", TOP "/none", TOP "/none/x", TOP "/file/x",
	TOP "/fifo", TOP "/empty/", TOP "/file/", TOP "/none/", TOP "/link/", TOP "/to-folder/",
	TOP "/full/.", TOP "/full/..", TOP "/loop/x", TOP "/full/deep/deeper", TOP,
};

static void lay_out(void)
{
	must(mkdir(TOP, 0755) == 0 || errno == EEXIST);
	tree_make(TOP "/file", 0644, "file");
	tree_make(TOP "/other", 0644, "other");
	must(mkdir(TOP "/empty", 0755) == 0 && mkdir(TOP "/full", 0755) == 0);
	must(mkdir(TOP "/full/deep", 0755) == 0);
	tree_make(TOP "/full/inner", 0644, "inner");
	must(symlink("file", TOP "/link") == 0 && symlink("loop", TOP "/loop") == 0);
	must(symlink("full", TOP "/to-folder") == 0 && symlink("none", TOP "/dangling") == 0);
	must(mkfifo(TOP "/fifo", 0644) == 0);
}

static size_t add_thing(char *line, size_t size, size_t which)
{
	struct stat status;

	if (lstat(things[which], &status) < 0)
		return 0;
	return (size_t)snprintf(line, size, " %zu:%o:%lu:%ld", which, status.st_mode >> 12,
	                        (unsigned long)status.st_nlink, (long)status.st_size);
}

/* All that is there, in one line; where nothing should have changed, only what was asked about. */
static void tell(const char *what, long result, size_t from, size_t to)
{
	const char *error = outcome(result);
	char line[400] = "";
	size_t used = 0;

	for (size_t i = 0; i < COUNT(things); i++)
		if (result >= 0 || i == from || i == to)
			used += add_thing(line + used, sizeof line - used, i);
	say("%s: %s:%s", what, error, line);
}

static void anew(void)
{
	tree_remove(TOP);
	lay_out();
}

static void ask_pair(const char *call, size_t from, size_t to, long result)
{
	char what[120];

	snprintf(what, sizeof what, "%s %s %s", call, things[from], things[to]);
	tell(what, result, from, to);
	if (result >= 0)
		anew();
}

static void ask_pairs(void)
{
	anew();
	for (size_t i = 0; i < COUNT(things); i++)
		for (size_t j = 0; j < COUNT(things); j++) {
			const char *from = things[i];
			const char *to = things[j];

			ask_pair("rename", i, j, rename(from, to));
			ask_pair("no replace", i, j,
			         renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE));
			ask_pair("exchange", i, j,
			         renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE));
			ask_pair("link", i, j, link(from, to));
			ask_pair("follow", i, j,
			         linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW));
		}
}

static void ask_single(const char *call, size_t which, long result)
{
	char what[120];

	snprintf(what, sizeof what, "%s %s", call, things[which]);
	tell(what, result, which, which);
	if (result >= 0)
		anew();
}

static void ask_singles(void)
{
	anew();
	for (size_t i = 0; i < COUNT(things); i++) {
		const char *thing = things[i];

		ask_single("unlink", i, unlink(thing));
		ask_single("unlinkat", i, unlinkat(AT_FDCWD, thing, 0));
		ask_single("rmdir", i, rmdir(thing));
		ask_single("removing", i, unlinkat(AT_FDCWD, thing, AT_REMOVEDIR));
		ask_single("remove", i, remove(thing));
		ask_single("mkdir", i, mkdir(thing, 0700));
		ask_single("mkfifo", i, mkfifo(thing, 0600));
		ask_single("mknod", i, mknod(thing, S_IFREG | 0600, 0));
		ask_single("symlink", i, symlink("to", thing));
	}
}

static void ask_at(void)
{
	int top, full;

	anew();
	top = open(TOP, O_RDONLY | O_DIRECTORY);
	full = open(TOP "/full", O_PATH);
	ask(renameat(top, "file", full, "moved"));
	tree_tell(TOP "/full/moved");
	ask(renameat(full, "moved", full, "moved"));
	ask(renameat2(full, "moved", top, "other", RENAME_EXCHANGE));
	tree_tell(TOP "/other");
	ask(renameat2(full, "moved", top, "other", RENAME_NOREPLACE));
	ask(renameat2(full, "moved", top, "new", RENAME_NOREPLACE | RENAME_EXCHANGE));
	ask(renameat2(full, "moved", top, "new", 0x8000));
	ask(renameat2(full, "moved", top, "new", 0));
	ask(linkat(top, "new", full, "again", 0));
	ask(linkat(top, "link", full, "link-too", 0));
	tree_show(TOP "/full/link-too");
	ask(linkat(top, "new", full, "again", 0x8000));
	ask(linkat(top, "", full, "empty", 0));
	ask(linkat(-1, "new", full, "x", 0));
	ask(linkat(-1, TOP "/new", -1, TOP "/newer", 0));
	ask(symlinkat("inner", full, "s"));
	ask(symlinkat("", full, "e"));
	ask(symlinkat("x", full, ""));
	tree_tell(TOP "/full/s");
	ask(mkdirat(full, "sub", 0750));
	ask(mkdirat(full, "sub", 0750));
	ask(mkdirat(full, "", 0750));
	tree_show(TOP "/full/sub");
	ask(mkfifoat(full, "fifo", 0620));
	ask(mknodat(full, "node", S_IFREG | 0604, 0));
	tree_show(TOP "/full/fifo");
	tree_show(TOP "/full/node");
	ask(unlinkat(full, "fifo", 0));
	ask(unlinkat(full, "sub", 0));
	ask(unlinkat(full, "sub", AT_REMOVEDIR));
	ask(unlinkat(full, "sub", AT_REMOVEDIR));
	ask(unlinkat(full, "node", 0x8000));
	ask(unlinkat(full, "../new", 0));
	ask(unlinkat(full, "", 0));
	ask(renameat(top, "", full, "x"));
	ask(renameat(top, "newer", full, "."));
	close(top);
	close(full);
	ask(unlinkat(full, "node", 0));
	ask(mkdirat(full, "x", 0700));
	tree_names(TOP);
	tree_names(TOP "/full");
}

/* A mount point is not renamed, nor anything put in its place. */
static void ask_root(void)
{
	anew();
	differs("moves: over the root", "%s", outcome(rename(TOP "/file", SHM)));
	differs("moves: a folder over the root", "%s", outcome(rename(TOP "/empty", SHM)));
	differs("moves: the root", "%s", outcome(rename(SHM, TOP "/none")));
	differs("moves: the root to itself", "%s", outcome(rename(SHM, SHM)));
	differs("moves: the root for a file", "%s",
	        outcome(renameat2(AT_FDCWD, SHM, AT_FDCWD, TOP "/file", RENAME_EXCHANGE)));
	ask(link(SHM, TOP "/none"));
	ask(link(TOP "/file", SHM));
	differs("moves: unlink of the root", "%s", outcome(unlink(SHM)));
	differs("moves: rmdir of the root", "%s", outcome(rmdir(SHM)));
	ask(mkdir(SHM, 0700));
}

/* By the kernel's own call, as programs do for what libc did not have. */
static void ask_syscall(void)
{
	anew();
	ask(syscall(SYS_renameat2, AT_FDCWD, "/etc/none", AT_FDCWD, "/etc/none2", 0));
}

static void ask_lengths(void)
{
	const char *most = tree_long(TOP "/", 'n', 255);
	const char *more = tree_long(TOP "/", 'n', 256);
	const char *below = tree_long(TOP "/full/", 'm', 255);

	anew();
	ask(rename(TOP "/file", most));
	ask(rename(most, more));
	ask(rename(more, TOP "/x"));
	ask(link(most, below));
	ask(link(most, more));
	ask(unlink(more));
	ask(unlink(most));
	ask(mkdir(most, 0700));
	ask(mkdir(more, 0700));
	ask(rmdir(more));
	ask(rmdir(most));
	ask(symlink("x", most));
	ask(symlink("x", more));
	ask(readlink(more, (char[4]){0}, 4));
	ask(symlink(tree_long("", 'l', 4095), TOP "/l"));
	ask(symlink(tree_long("", 'l', 4096), TOP "/m"));
	ask(symlink("", TOP "/m"));
	tree_show(TOP "/l");
	tree_names(TOP "/full");
}

/* A folder goes into itself in no way. */
static void ask_into_itself(void)
{
	anew();
	must(mkdir(TOP "/full/deep/deeper", 0755) == 0);
	ask(rename(TOP "/full", TOP "/full/deep/deeper/x"));
	ask(rename(TOP "/full", TOP "/full/deep"));
	ask(rename(TOP "/full", TOP "/to-folder/x"));
	ask(rename(TOP "/full/deep/deeper", TOP "/full"));
	ask(rename(TOP "/full/deep", TOP "/full/deep/../x"));
	ask(renameat2(AT_FDCWD, TOP "/full", AT_FDCWD, TOP "/full/x/deeper", RENAME_EXCHANGE));
	ask(renameat2(AT_FDCWD, TOP "/full/x/deeper", AT_FDCWD, TOP "/full", RENAME_EXCHANGE));
	ask(rename(TOP, TOP "/full/y"));
	tree_names(TOP "/full");
	tree_show(TOP "/full");
}

/* Between here and another filesystem. */
static void ask_elsewhere(void)
{
	char outside[] = "/tmp/shmemu-moves-XXXXXX";
	char path[64], text[64] = "";

	anew();
	must(mkdtemp(outside) != NULL);
	snprintf(path, sizeof path, "%s/x", outside);
	ask(rename(TOP "/file", path));
	ask(link(TOP "/file", path));
	ask(rename(TOP "/full", path));
	tree_make(path, 0644, "outside");
	ask(rename(path, TOP "/x"));
	ask(link(path, TOP "/x"));
	ask(renameat2(AT_FDCWD, path, AT_FDCWD, TOP "/file", RENAME_EXCHANGE));
	ask(unlink(path));
	ask(symlink(TOP "/file", path));
	differs("moves: in by a link outside", "%s", outcome(access(path, R_OK)));
	say("its text: %zd %s", readlink(path, text, sizeof text), text);
	ask(unlink(path));
	say("out: %s", outcome(symlink(outside, TOP "/out")));
	ask_fd(open(TOP "/out/made", O_RDWR | O_CREAT, 0600));
	say("made outside: %s", outcome(unlink(strcat(strcpy(path, outside), "/made"))));
	ask(unlink(TOP "/out"));
	ask(rmdir(outside));
}

/* One after the other, as programs that write a file anew do. */
static void ask_replacing(void)
{
	struct stat before, after;
	char byte = 0;
	int fd;

	anew();
	fd = open(TOP "/file", O_RDWR);
	must(fstat(fd, &before) == 0);
	ask(rename(TOP "/other", TOP "/file"));
	tree_tell(TOP "/file");
	must(fstat(fd, &after) == 0);
	say("the old one: links %lu, same %d, %zd", (unsigned long)after.st_nlink,
	    before.st_ino == after.st_ino, pread(fd, &byte, 1, 0));
	close(fd);
	ask(link(TOP "/file", TOP "/same"));
	ask(rename(TOP "/file", TOP "/same"));
	tree_show(TOP "/file");
	tree_show(TOP "/same");
	ask(renameat2(AT_FDCWD, TOP "/file", AT_FDCWD, TOP "/same", RENAME_EXCHANGE));
	ask(rename(TOP "/file", TOP "/file"));
	for (int i = 0; i < 200; i++) {
		char name[64], next[64];

		snprintf(name, sizeof name, TOP "/n%d", i);
		snprintf(next, sizeof next, TOP "/n%d", i + 1);
		if (i == 0)
			tree_make(name, 0600, "on its way");
		must(rename(name, next) == 0);
	}
	tree_tell(TOP "/n200");
	must(stat(TOP "/same", &before) == 0);
	for (int i = 0; i < 50; i++) {
		char name[64];

		snprintf(name, sizeof name, TOP "/l%d", i);
		must(link(TOP "/same", name) == 0);
	}
	tree_show(TOP "/same");
	ask(unlink(TOP "/l7"));
	tree_show(TOP "/l8");
	tree_show(TOP);
}

static void body(void)
{
	ask_pairs();
	ask_singles();
	ask_at();
	ask_root();
	ask_syscall();
	ask_lengths();
	ask_into_itself();
	ask_elsewhere();
	ask_replacing();
}

static void run(void)
{
	tree_run(body);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, run);
}
