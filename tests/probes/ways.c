/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Odd paths to a thing in /dev/shm: dots and slashes, the working folder, long names, links that
 * lead about. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/probes/helper.h"
#include "tests/probes/tree.h"

#define F TOP "/file"
#define D TOP "/folder"

enum { DEPTH = 40, LINKS_MAX = 40 };

static char outside[] = "/tmp/shmemu-ways-XXXXXX";

static void lay_out(void)
{
	tree_make(F, 0644, "the file");
	must(mkdir(D, 0755) == 0 && mkdir(D "/sub", 0755) == 0);
	tree_make(D "/inner", 0644, "inner");
	tree_make(D "/sub/deep", 0644, "deep");
	must(symlink("folder", TOP "/to-folder") == 0);
}

/* "is" if it is the file of that path. */
static const char *same_as(const char *path, const char *wanted)
{
	struct stat status, other;

	if (stat(path, &status) < 0)
		return outcome(-1);
	must(stat(wanted, &other) == 0);
	return status.st_ino == other.st_ino && status.st_dev == other.st_dev ? "is" : "is another";
}

static void ask_shapes(void)
{
	static const char *const shapes[] = {
		"//dev/shm/top/file", "/dev//shm///top//file", "/dev/./shm/././top/./file",
		"/dev/../dev/shm/top/file", "/../../dev/shm/top/file", "/dev/shm/../shm/top/file",
		"/dev/shm/../../dev/shm/top/file", "/dev/shm/top/../top/file",
		TOP "/folder/../file",
		TOP "/to-folder/../file", TOP "/folder/sub/../../file",
		"/dev/none/../shm/top/file",
		"/dev/shm/none/../top/file", "/dev/shm/top/file/../file", "/dev/shm/top/file/",
		"/dev/shm/top/file/.", "/dev/shm/top/file/..", "/dev/shm/top/file//",
		"dev/shm/top/file",
		"./dev/shm/top/file", "../dev/shm/top/file",
		"/dev/shm/top/folder/./../folder/../file",
		"/dev/shm/./top/file", "/dev/shm//../shm/top/file", "/dev/null/../shm/top/file",
		"/dev/sh/top/file", "/dev/shmx/top/file",
		"/dev/shm/../shmx/top/file", "/DEV/shm/top/file",
	};

	must(chdir("/") == 0);
	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
		say("%s: %s", shapes[i], same_as(shapes[i], F));
	}
}

/* The library takes no part in paths that do not begin like ours. */
static void ask_foreign_shapes(void)
{
	differs("ways: by /proc", "%s", same_as("/proc/../dev/shm/top/file", F));
	differs("ways: by /proc/self/root", "%s", same_as("/proc/self/root/dev/shm/top/file", F));
	differs("ways: by /tmp", "%s", same_as("/tmp/../dev/shm/top/file", F));
	differs("ways: by /usr/bin", "%s", same_as("/usr/bin/../../dev/shm/top/file", F));
}

static void ask_folder_shapes(void)
{
	static const char *const shapes[] = {
		D, D "/", D "//", D "/.", D "/./", D "/sub/..", D "/sub/../", D "/../folder",
		TOP "/to-folder", TOP "/to-folder/", TOP "/to-folder/.", TOP "/to-folder/sub/..",
	};

	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
		char path[128];

		say("%s: %s", shapes[i], same_as(shapes[i], D));
		snprintf(path, sizeof path, "%s/new", shapes[i]);
		say("a new one there: %s",
		    tree_closed(open(path, O_RDWR | O_CREAT | O_EXCL, 0600)));
		say("unlink: %s", outcome(unlink(path)));
		snprintf(path, sizeof path, "%s/new/", shapes[i]);
		say("a new folder there: %s", outcome(mkdir(path, 0700)));
		say("rmdir: %s", outcome(rmdir(path)));
		say("a file of such a name: %s", tree_closed(open(path, O_RDWR | O_CREAT, 0600)));
	}
	ask(mkdir(TOP "/new/.", 0700));
	ask(mkdir(TOP "/new/..", 0700));
	ask(mkdir(D "/.", 0700));
	ask(rmdir(D "/."));
	ask(rmdir(D "/.."));
	ask(unlink(D "/."));
	ask(rename(D "/.", TOP "/x"));
	ask(rename(F, D "/."));
	ask(symlink("x", TOP "/trailing/"));
	ask(link(F, TOP "/trailing/"));
	ask(mkfifo(TOP "/trailing/", 0600));
	ask(rename(F, TOP "/trailing/"));
	ask(mkdir("/dev/shm", 0700));
	ask(rmdir("/dev/shm/top/../../shm/none"));
	ask(mkdir("/dev/shm/", 0700));
	ask(symlink("x", "/dev/shm"));
	ask_fd(open("/dev/shm", O_RDWR | O_CREAT, 0600));
	ask_fd(open("/dev/shm/", O_RDWR));
}

static void ask_long(void)
{
	char path[PATH_MAX + 8];
	size_t start = strlen(TOP);

	for (size_t length = 4000; length <= 4097; length += length < 4094 ? 94 : 1) {
		strcpy(path, TOP);
		for (size_t at = start; at < length - 5; at++)
			path[at] = '/';
		strcpy(path + length - 5, "/file");
		must(strlen(path) == length);
		say("{ways: a path of %zu bytes} %s, open %s, access %s, rmdir %s", length,
		    same_as(path, F), tree_closed(open(path, O_RDONLY)), outcome(access(path,
		                                                                        F_OK)),
		    outcome(rmdir(path)));
	}
	for (size_t i = start; i + 2 < 4000; i += 2)
		memcpy(path + i, "/.", 2);
	strcpy(path + 3999 - 5, "/file");
	say("dots: %s", same_as(path, F));
	strcpy(path, TOP);
	while (strlen(path) < 3900)
		strcat(path, "/folder/..");
	strcat(path, "/file");
	say("and back: %s", same_as(path, F));
	for (size_t length = 254; length <= 256; length++) {
		const char *name = tree_long(TOP "/", 'n', length);

		say("a name of %zu: %s %s %s", length, outcome(mkdir(name, 0700)),
		    tree_closed(open(name, O_RDONLY)), outcome(rmdir(name)));
	}
	ask_fd(open(tree_long(TOP "/file/", 'n', 256), O_RDONLY));
	ask_fd(open(tree_long(TOP "/none/", 'n', 256), O_RDONLY));
	ask_fd(open(tree_long(TOP "/", 'n', 300), O_RDWR | O_CREAT, 0600));
}

/* Names of all bytes but two. */
static void ask_bytes(void)
{
	char path[64];
	int made = 0;

	must(mkdir(TOP "/bytes", 0700) == 0);
	for (int byte = 1; byte < 256; byte++) {
		if (byte == '/' || byte == '.')
			continue;
		snprintf(path, sizeof path, TOP "/bytes/%c", byte);
		made += tree_closed(open(path, O_RDWR | O_CREAT | O_EXCL, 0600))[0] == 'o';
		snprintf(path, sizeof path, TOP "/bytes/..%c", byte);
		made += mkdir(path, 0700) == 0;
	}
	say("names made: %d", made);
	for (int byte = 1; byte < 256; byte++) {
		snprintf(path, sizeof path, TOP "/bytes/%c", byte);
		made -= byte != '/' && byte != '.' && unlink(path) == 0;
		snprintf(path, sizeof path, TOP "/bytes/..%c", byte);
		made -= byte != '/' && byte != '.' && rmdir(path) == 0;
	}
	say("left: %d", made);
	ask(mkdir(TOP "/bytes/...", 0700));
	ask(rmdir(TOP "/bytes/..."));
	ask(rmdir(TOP "/bytes"));
}

static void tell_folder(const char *what)
{
	char path[PATH_MAX] = "";
	char small[4];
	char *named;

	say("%s: %s", what, getcwd(path, sizeof path) ? path : outcome(-1));
	say("too small: %s", outcome(getcwd(small, sizeof small) ? 0 : -1));
	named = getcwd(NULL, 0);
	say("of its own: %s", named ? named : outcome(-1));
	free(named);
	named = get_current_dir_name();
	say("get_current_dir_name: %s", named ? named : outcome(-1));
	free(named);
}

static void ask_relative(void)
{
	static const char *const ways[] = {
		"file", "./file", "folder/../file", "../top/file", "to-folder/../file", ".//file",
		"../shm/top/file", "file/", "none/../file",
	};

	unsetenv("PWD");
	ask(chdir(TOP));
	tell_folder("in the folder");
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
		say("%s: %s", ways[i], same_as(ways[i], F));
	ask_fd(open("new", O_RDWR | O_CREAT | O_EXCL, 0600));
	ask(mkdir("new-folder", 0700));
	ask(rename("new", "new-folder/new"));
	ask(chdir("new-folder"));
	tell_folder("deeper");
	say("up: %s", same_as("../file", F));
	ask(unlink("new"));
	ask(chdir(".."));
	ask(rmdir("new-folder"));
	tell_folder("up again");
	ask(chdir("to-folder"));
	tell_folder("by a link");
	ask(chdir("/dev"));
	tell_folder("out");
	ask_fd(open("null", O_RDONLY));
	say("in again: %s", same_as("shm/top/file", F));
	ask(chdir("shm"));
	tell_folder("/dev/shm");
	say("here: %s", same_as("top/file", F));
	ask(chdir("./top/folder/"));
	tell_folder("in the folder");
	ask(chdir("/dev"));
	say("by dev: %s", same_as("shm/top/file", F));
	say("by dev: %s", same_as("./shm/../shm/top/file", F));
	ask(chdir(F));
	ask(chdir(TOP "/none"));
	ask(chdir("/"));
}

/* Up and out of /dev/shm. */
static void ask_out(void)
{
	char path[PATH_MAX] = "";

	must(chdir(TOP) == 0);
	differs("ways: up and in again", "%s", same_as("../../shm/top/file", F));
	differs("ways: up to the root and in again", "%s",
	        same_as("../../../../../dev/shm/top/file", F));
	differs("ways: up and elsewhere", "%s",
	        tree_closed(open("../../../etc/passwd", O_RDONLY)));
	differs("ways: chdir up and out", "%s", outcome(chdir("../..")));
	differs("ways: the folder is /dev", "%d",
	        getcwd(path, sizeof path) && strcmp(path, "/dev") == 0);
	must(chdir("/") == 0);
}

static void in_its_folder(void *ignored)
{
	(void)ignored;
	say("a child: %s", same_as("inner", D "/inner"));
	tell_folder("a child");
	must(chdir("sub") == 0);
	say("its own: %s", same_as("deep", D "/sub/deep"));
}

static void ask_working_folder(void)
{
	int here = open(".", O_RDONLY | O_DIRECTORY);
	int folder = open(D, O_RDONLY | O_DIRECTORY);
	int of_path = open(D "/sub", O_PATH | O_DIRECTORY);
	int file = open(F, O_RDONLY);

	ask(fchdir(folder));
	tell_folder("by a descriptor");
	must(in_child(in_its_folder, NULL) == 0);
	say("still here: %s", same_as("inner", D "/inner"));
	ask(rename(D, TOP "/renamed"));
	tell_folder("renamed");
	say("here: %s", same_as("inner", TOP "/renamed/inner"));
	ask(rename("../renamed", D));
	tell_folder("named back");
	ask(fchdir(of_path));
	tell_folder("deeper");
	say("up: %s", same_as("../inner", D "/inner"));
	ask(fchdir(file));
	ask(fchdir(-1));
	ask(fchdir(here));
	tell_folder("back");
	must(mkdir(TOP "/gone", 0700) == 0 && chdir(TOP "/gone") == 0);
	ask(rmdir(TOP "/gone"));
	differs("ways: getcwd in a removed folder", "%s",
	        outcome(getcwd((char[PATH_MAX]){0}, PATH_MAX) ? 0 : -1));
	ask_fd(open("x", O_RDWR | O_CREAT, 0600));
	ask(mkdir("x", 0700));
	differs("ways: open of a removed working folder", "%s", tree_closed(open(".", O_RDONLY)));
	differs("ways: up from a removed folder", "%s", same_as("../file", F));
	differs("ways: chdir up from there", "%s", outcome(chdir("..")));
	ask(chdir("/"));
	close(here);
	close(folder);
	close(of_path);
	close(file);
}

static void ask_descriptors(void)
{
	char path[64], text[PATH_MAX] = "";
	int folder = open(D, O_RDONLY | O_DIRECTORY);
	int file = open(F, O_RDWR);
	int copy = dup(folder);
	int high = fcntl(folder, F_DUPFD_CLOEXEC, 500);
	ssize_t length;

	must(chdir("/") == 0);
	say("by a copy: %s %s", tree_closed(openat(copy, "inner", O_RDONLY)),
	    tree_closed(openat(high, "../file", O_RDONLY)));
	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	say("%s, %s", same_as(path, F), tree_closed(open(path, O_RDWR)));
	length = readlink(path, text, sizeof text - 1);
	say("a link: %d", length > 0 && text[0] == '/');
	differs("ways: readlink of a descriptor", "%d", strcmp(text, F) == 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d/inner", folder);
	differs("ways: by a folder's /proc/self/fd", "%s", same_as(path, D "/inner"));
	snprintf(path, sizeof path, "/dev/fd/%d", file);
	say("%s", same_as(path, F));
	must(dup2(folder, 300) == 300 && close(folder) == 0 && close(copy) == 0);
	say("by another number: %s", tree_closed(openat(300, "inner", O_RDONLY)));
	say("the old number: %s", tree_closed(openat(folder, "inner", O_RDONLY)));
	folder = open("/tmp", O_RDONLY | O_DIRECTORY);
	differs("ways: from /tmp", "%s", tree_closed(openat(folder, "../dev/shm/top/file",
	                                                    O_RDONLY)));
	close(folder);
	folder = open("/dev", O_RDONLY | O_DIRECTORY);
	differs("ways: from /dev", "%s", tree_closed(openat(folder, "shm/top/file", O_RDONLY)));
	close(folder);
	close(file);
	close(300);
	close(high);
}

static const char *out(const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/%s", outside, name);
	return path;
}

static void ask_links_about(void)
{
	char path[PATH_MAX];

	must(mkdtemp(outside) != NULL);
	tree_make(out("beyond"), 0644, "outside");
	must(symlink(outside, TOP "/out") == 0 && symlink(TOP, out("back")) == 0);
	must(symlink(F, TOP "/absolute") == 0 && symlink("../../tmp", TOP "/up") == 0);
	must(symlink("/dev/shm/../shm/top/file", TOP "/odd") == 0);
	must(symlink("../top/absolute", TOP "/twice") == 0 && symlink(".", TOP "/dot") == 0);
	must(symlink("..", D "/parent") == 0 && symlink("/", TOP "/root") == 0);
	must(symlink("/dev/shm", TOP "/all") == 0 && symlink(TOP "/folder/", TOP "/slash") == 0);
	must(symlink("file/", TOP "/no-folder") == 0);
	ask_fd(open(TOP "/out/beyond", O_RDONLY));
	say("%s", same_as(TOP "/absolute", F));
	say("%s", same_as(TOP "/odd", F));
	say("%s", same_as(TOP "/twice", F));
	say("%s", same_as(TOP "/dot/dot/dot/file", F));
	say("%s", same_as(D "/parent/folder/parent/file", F));
	say("%s", same_as(TOP "/root/dev/shm/top/file", F));
	say("%s", same_as(TOP "/all/top/all/top/file", F));
	say("%s", same_as(TOP "/slash/inner", D "/inner"));
	say("%s", same_as(TOP "/slash", D));
	say("%s", same_as(TOP "/no-folder", F));
	snprintf(path, sizeof path, TOP "/up/%s/beyond", outside + strlen("/tmp/"));
	say("up and out: %s", tree_closed(open(path, O_RDONLY)));
	differs("ways: out and in again", "%s", same_as(TOP "/out/back/file", F));
	differs("ways: in by a link outside", "%s", same_as(out("back/file"), F));
	ask_fd(open(TOP "/out/made", O_RDWR | O_CREAT | O_EXCL, 0600));
	ask(unlink(TOP "/out/made"));
	ask(mkdir(TOP "/out/dir", 0700));
	ask(rename(TOP "/out/dir", TOP "/out/dir2"));
	ask(rename(TOP "/out/beyond", TOP "/file"));
	ask(link(TOP "/out/beyond", TOP "/out/linked"));
	ask(unlink(TOP "/out/linked"));
	ask(rmdir(TOP "/out/dir2"));
	ask(chdir(TOP "/out"));
	say("it is outside: %d", getcwd(path, sizeof path) && strcmp(path, outside) == 0);
	ask(chdir("/"));
	ask(chmod(TOP "/out/beyond", 0600));
	ask(truncate(TOP "/out/beyond", 3));
	tree_tell(TOP "/out/beyond");
	ask(unlink(out("beyond")));
	ask(unlink(out("back")));
	ask(rmdir(outside));
	ask_fd(open(TOP "/out/beyond", O_RDONLY));
	tree_show(TOP "/out");
}

static void ask_chain(const char *name, const char *folder)
{
	char path[64], text[64];

	snprintf(path, sizeof path, TOP "/%s0", name);
	must(symlink("file", path) == 0);
	for (int i = 1; i <= LINKS_MAX; i++) {
		snprintf(path, sizeof path, TOP "/%s%d", name, i);
		snprintf(text, sizeof text, "%s%s%d", folder, name, i - 1);
		must(symlink(text, path) == 0);
		/* Where the kernel has to begin a walk again it goes on counting: what more
		 * than half of its links come to is not always the same. */
		if (i == LINKS_MAX / 4)
			say("%d links: %s %s", i + 1, same_as(path, F),
			    tree_closed(open(path, O_RDWR)));
	}
	say("{ways: 41 links of %s} %s %s", name, same_as(path, F),
	    tree_closed(open(path, O_RDWR)));
}

static void ask_chains(void)
{
	ask_chain("relative", "");
	ask_chain("absolute", TOP "/");
	must(symlink(TOP "/around", TOP "/about") == 0);
	must(symlink(TOP "/about", TOP "/around") == 0);
	differs("ways: in a circle", "%s", tree_closed(open(TOP "/about", O_RDWR)));
	differs("ways: beyond a circle", "%s", outcome(mkdir(TOP "/around/x", 0700)));
	must(symlink("b", TOP "/a") == 0 && symlink("a", TOP "/b") == 0);
	must(symlink("self/x", TOP "/self") == 0);
	ask_fd(open(TOP "/a", O_RDONLY));
	ask_fd(open(TOP "/a", O_RDWR | O_CREAT, 0600));
	ask_fd(open(TOP "/self/y", O_RDONLY));
	ask(mkdir(TOP "/a/x", 0700));
	ask(rename(TOP "/a", TOP "/b"));
	ask(chdir(TOP "/b"));
	ask_fd(open(TOP "/b", O_RDONLY | O_NOFOLLOW));
}

static void ask_depth(void)
{
	char path[PATH_MAX] = TOP;

	for (int i = 0; i < DEPTH; i++) {
		strcat(path, "/a-folder-below");
		must(mkdir(path, 0755) == 0);
	}
	strcat(path, "/bottom");
	tree_make(path, 0644, "down here");
	say("deep: %s", tree_closed(open(path, O_RDONLY)));
	must(chdir(TOP) == 0);
	for (int i = 0; i < DEPTH; i++)
		must(chdir("a-folder-below") == 0);
	say("at the bottom: %s", tree_closed(open("bottom", O_RDONLY)));
	for (int i = 0; i < DEPTH; i++)
		must(chdir("..") == 0);
	say("and up: %s", same_as("file", F));
	must(chdir("/") == 0);
}

/* Folders that can be listed and not searched, and the other way round. */
static void ask_search(void)
{
	static const mode_t modes[] = {0, 0100, 0200, 0300, 0400, 0500, 0600, 0700};

	must(mkdir(TOP "/s", 0700) == 0);
	tree_make(TOP "/s/f", 0644, "f");
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		must(chmod(TOP "/s", modes[i]) == 0);
		say("mode %o: open %s, stat %s, list %s", modes[i],
		    tree_closed(open(TOP "/s/f", O_RDONLY)), outcome(access(TOP "/s/f", F_OK)),
		    tree_closed(open(TOP "/s", O_RDONLY)));
		say("make %s, link %s, rename %s, new folder %s",
		    tree_closed(open(TOP "/s/g", O_RDWR | O_CREAT, 0600)),
		    outcome(link(F, TOP "/s/l")), outcome(rename(TOP "/s/f", TOP "/s/h")),
		    outcome(mkdir(TOP "/s/d", 0700)));
		say("chdir %s, none %s, dot %s, dots %s", outcome(chdir(TOP "/s")),
		    outcome(access(TOP "/s/none", F_OK)), outcome(access(TOP "/s/.", F_OK)),
		    outcome(access(TOP "/s/../file", F_OK)));
		say("unlink %s, removing %s", outcome(unlink(TOP "/s/g")),
		    outcome(rmdir(TOP "/s/none")));
		must(chdir("/") == 0 && chmod(TOP "/s", 0700) == 0);
		rename(TOP "/s/h", TOP "/s/f");
		unlink(TOP "/s/l");
		unlink(TOP "/s/g");
		rmdir(TOP "/s/d");
	}
}

/* A program that is started in a folder of ours is in it. */
static void ask_exec(void)
{
	tree_make(SHM "/exec", 0644, "");
	must(unlink(SHM "/exec") == 0);
	must(chdir(D) == 0);
	say("by a shell: %d", system("test -f inner && test -f ../file && cd sub && test -f deep"));
	say("pwd: %d", system("test \"$(/bin/pwd)\" = " D));
	must(chdir("/") == 0);
}

static void body(void)
{
	lay_out();
	ask_shapes();
	ask_foreign_shapes();
	ask_folder_shapes();
	ask_long();
	ask_bytes();
	ask_relative();
	ask_out();
	ask_working_folder();
	ask_descriptors();
	ask_links_about();
	ask_chains();
	ask_depth();
	ask_search();
	ask_exec();
}

static void run(void)
{
	tree_run(body);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, run);
}
