/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What lists folders: readdir and its kin, scandir, nftw, fts, glob. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ftw.h>
#include <fts.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/probes/tree.h"

#define D TOP "/folder"

enum { MANY = 1500 };

static void lay_out(void)
{
	must(mkdir(D, 0755) == 0 && mkdir(D "/sub", 0755) == 0 && mkdir(D "/empty", 0755) == 0);
	tree_make(D "/a", 0644, "a");
	tree_make(D "/b", 0600, "bb");
	tree_make(D "/.hidden", 0600, "");
	tree_make(D "/sub/c", 0600, "ccc");
	must(symlink("a", D "/link") == 0 && symlink("none", D "/dangling") == 0);
	must(symlink("sub", D "/to-sub") == 0 && mkfifo(D "/fifo", 0600) == 0);
}

static void ask_kinds(void)
{
	DIR *folder = opendir(D);
	struct dirent *entry;
	struct stat status;
	int dots = 0;
	int same = 0;
	int count = 0;

	must(folder != NULL);
	while ((entry = readdir(folder))) {
		count++;
		dots += strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
		if (fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
			say("%s: %s", entry->d_name, outcome(-1));
		else if (status.st_ino == entry->d_ino && status.st_mode >> 12 == entry->d_type)
			same++;
		else if (strcmp(entry->d_name, "..") != 0)
			say("%s: type %d but mode %o, number %s", entry->d_name, entry->d_type,
			    status.st_mode, status.st_ino == entry->d_ino ? "the same" : "another");
	}
	say("%d names, %d dots, %d as stat says", count, dots, same);
	ask(closedir(folder));
	tree_names(D);
	tree_names(D "/empty");
	tree_names(D "/sub");
	tree_names(D "/to-sub");
	tree_names(D "/none");
	tree_names(D "/a");
	tree_names(D "/dangling");
	tree_names(D "/sub/../sub/.");
}

static void ask_old_forms(void)
{
	DIR *folder = opendir(D);
	struct dirent64 *entry64;
	struct dirent *next = NULL;
	union {
		struct dirent entry;
		char room[sizeof(struct dirent) + 256];
	} place;
	int count = 0;

	while ((entry64 = readdir64(folder)))
		count++;
	say("readdir64: %d", count);
	rewinddir(folder);
	count = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	while (readdir_r(folder, &place.entry, &next) == 0 && next)
		count++;
#pragma GCC diagnostic pop
	say("readdir_r: %d", count);
	closedir(folder);
}

static void ask_descriptors(void)
{
	int fd = open(D, O_RDONLY | O_DIRECTORY);
	int file = open(D "/a", O_RDONLY);
	int of_path = open(D, O_PATH);
	struct stat status;
	struct dirent *entry;
	DIR *folder;
	int count = 0;

	ask_pointer(fdopendir(file));
	ask_pointer(fdopendir(of_path));
	ask_pointer(fdopendir(-1));
	ask_pointer(folder = fdopendir(fd));
	while ((entry = readdir(folder)))
		count++;
	say("%d names, the same descriptor: %d", count, dirfd(folder) == fd);
	must(fstat(dirfd(folder), &status) == 0);
	say("a folder: %d", S_ISDIR(status.st_mode));
	ask_fd(openat(dirfd(folder), "a", O_RDONLY));
	ask(fchdir(dirfd(folder)));
	ask_fd(open("sub/c", O_RDONLY));
	must(chdir("/") == 0);
	ask(closedir(folder));
	ask(fcntl(fd, F_GETFD));
	close(file);
	close(of_path);
	folder = opendir(D);
	must(folder != NULL);
	say("close on exec: %d", fcntl(dirfd(folder), F_GETFD));
	closedir(folder);
}

/* Places that were told lead back to where they were. */
static void ask_places(void)
{
	DIR *folder = opendir(D);
	char names[32][32];
	long places[32];
	int count = 0;
	int right = 0;
	struct dirent *entry;

	for (places[0] = telldir(folder); count < 31 && (entry = readdir(folder));
	     places[++count] = telldir(folder))
		snprintf(names[count], sizeof names[0], "%.31s", entry->d_name);
	for (int i = count - 1; i >= 0; i--) {
		seekdir(folder, places[i]);
		entry = readdir(folder);
		right += entry && strcmp(entry->d_name, names[i]) == 0;
	}
	seekdir(folder, places[count]);
	say("%d of %d places, then the end: %d", right, count, readdir(folder) == NULL);
	rewinddir(folder);
	entry = readdir(folder);
	say("from the start: %d", entry && strcmp(entry->d_name, names[0]) == 0);
	must(unlink(D "/b") == 0);
	tree_make(D "/later", 0600, "");
	rewinddir(folder);
	right = 0;
	while ((entry = readdir(folder)))
		right += strcmp(entry->d_name, "later") == 0 ? 10 : strcmp(entry->d_name, "b") == 0;
	say("what is new is seen, what is gone not: %d", right);
	closedir(folder);
	must(unlink(D "/later") == 0);
	tree_make(D "/b", 0600, "bb");
}

/* Two readers of one folder do not disturb each other. */
static void ask_two_readers(void)
{
	DIR *one = opendir(D);
	DIR *two = opendir(D);
	int first = 0;
	int second = 0;

	while (readdir(one)) {
		first++;
		if (first % 2)
			second += readdir(two) != NULL;
	}
	while (readdir(two))
		second++;
	say("%d and %d", first, second);
	closedir(one);
	closedir(two);
}

static void name_of(char *path, int number)
{
	snprintf(path, 64, TOP "/many/name-%d", number);
}

/* Names that stay are listed once each while others come and go. */
static void ask_many(void)
{
	static unsigned char seen[MANY];
	char path[64];
	struct dirent *entry;
	DIR *folder;
	int once = 0;
	int strange = 0;

	must(mkdir(TOP "/many", 0755) == 0);
	for (int i = 0; i < MANY; i++) {
		name_of(path, i);
		must(mknod(path, S_IFREG | 0600, 0) == 0);
	}
	folder = opendir(TOP "/many");
	for (int i = 0; (entry = readdir(folder)); i++) {
		int number = atoi(entry->d_name + strcspn(entry->d_name, "0123456789"));

		if (entry->d_name[0] == 'n' && number < MANY)
			seen[number]++;
		else
			strange += entry->d_name[0] != '.' && entry->d_name[0] != 'x';
		snprintf(path, sizeof path, TOP "/many/x%d", i);
		must(mknod(path, S_IFREG | 0600, 0) == 0);
		snprintf(path, sizeof path, TOP "/many/x%d", i - 2);
		if (i >= 2)
			must(unlink(path) == 0);
		if (i > 3 * MANY) {
			say("there is no end");
			break;
		}
	}
	closedir(folder);
	for (int i = 0; i < MANY; i++)
		once += seen[i] == 1;
	say("%d once, %d strange", once, strange);
}

/* As rm -r does: what was read is removed at once. */
static void ask_removal_while_reading(void)
{
	DIR *folder = opendir(TOP "/many");
	struct dirent *entry;
	int removed = 0;

	while ((entry = readdir(folder)))
		removed += entry->d_name[0] != '.' &&
		           unlinkat(dirfd(folder), entry->d_name, 0) == 0;
	closedir(folder);
	say("more than all removed: %d", removed >= MANY);
	ask(rmdir(TOP "/many"));
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int visible64(const struct dirent64 *entry)
{
	return entry->d_name[0] != '.';
}

static void ask_scandir(void)
{
	struct dirent **entries;
	struct dirent64 **entries64;
	int at = open(TOP, O_RDONLY | O_DIRECTORY);
	int count = scandir(D, &entries, visible, alphasort);

	say("scandir: %d %s", count, outcome(count));
	for (int i = 0; i < count; i++) {
		say("  %s %d", entries[i]->d_name, entries[i]->d_type);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	ask(scandir(D "/none", &entries, NULL, NULL));
	ask(scandir(D "/a", &entries, NULL, NULL));
	count = scandir64(D, &entries64, visible64, alphasort64);
	say("scandir64: %d", count);
	for (int i = 0; i < count; i++)
		free(entries64[i]);
	if (count >= 0)
		free(entries64);
	count = scandirat(at, "folder", &entries, visible, versionsort);
	say("scandirat: %d", count);
	for (int i = 0; i < count; i++)
		free(entries[i]);
	if (count >= 0)
		free(entries);
	ask(scandirat(at, "none", &entries, NULL, NULL));
	close(at);
}

static char visits[32][96];
static int visited;

static int visit(const char *path, const struct stat *status, int type, struct FTW *at)
{
	const char *second = strstr(path, "/to-sub");
	int start = second ? (int)(second - path) : (int)strlen(path);
	char text[96];

	/* Who follows links sees this folder once, by whichever name comes first. */
	if (type == FTW_SL || !second)
		start = (int)strlen(path);
	snprintf(text, sizeof text, "%.*s%s%s type %d level %d mode %o", start, path,
	         path[start] ? "/sub" : "", path[start] ? path + start + strlen("/to-sub") : "",
	         type, at->level, type == FTW_NS ? 0 : status->st_mode);
	if (visited < 32)
		strcpy(visits[visited++], text);
	return 0;
}

static int visit_simply(const char *path, const struct stat *status, int type)
{
	return visit(path, status, type, &(struct FTW){0, 0});
}

static int visit64(const char *path, const struct stat64 *status, int type, struct FTW *at)
{
	return visit(path, &(struct stat){.st_mode = status->st_mode}, type, at);
}

static int in_order(const void *left, const void *right)
{
	return strcmp(left, right);
}

static void tell_visits(const char *what, int result)
{
	say("%s: %s", what, outcome(result));
	qsort(visits, (size_t)visited, sizeof visits[0], in_order);
	for (int i = 0; i < visited; i++)
		say("  %s", visits[i]);
	visited = 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
	(void)status;
	(void)type;
	(void)at;
	return remove(path);
}

static void ask_walks(void)
{
	tell_visits("nftw", nftw(D, visit, 8, 0));
	tell_visits("nftw, physical", nftw(D, visit, 8, FTW_PHYS));
	tell_visits("nftw, depth", nftw(D, visit, 2, FTW_PHYS | FTW_DEPTH | FTW_MOUNT));
	tell_visits("nftw, chdir", nftw(D, visit, 8, FTW_PHYS | FTW_CHDIR));
	tell_visits("nftw of a file", nftw(D "/a", visit, 8, FTW_PHYS));
	tell_visits("nftw of nothing", nftw(D "/none", visit, 8, FTW_PHYS));
	tell_visits("ftw", ftw(D, visit_simply, 8));
	tell_visits("nftw64", nftw64(D, visit64, 8, FTW_PHYS));
	must(mkdir(TOP "/r", 0755) == 0 && mkdir(TOP "/r/s", 0755) == 0);
	tree_make(TOP "/r/s/t", 0600, "");
	ask(nftw(TOP "/r", remove_one, 4, FTW_PHYS | FTW_DEPTH));
	ask(access(TOP "/r", F_OK));
}

static int fts_order(const FTSENT **left, const FTSENT **right)
{
	return strcmp((*left)->fts_name, (*right)->fts_name);
}

static void ask_fts(int options)
{
	char path[] = D;
	char *paths[] = {path, NULL};
	FTS *walk = fts_open(paths, options, fts_order);
	FTSENT *entry;

	say("fts %x: %s", (unsigned)options, outcome(walk ? 0 : -1));
	while (walk && (entry = fts_read(walk)))
		say("  %s info %d level %d, there: %d", entry->fts_path, entry->fts_info,
		    entry->fts_level,
		    faccessat(AT_FDCWD, entry->fts_accpath, F_OK, AT_SYMLINK_NOFOLLOW));
	if (walk)
		ask(fts_close(walk));
	must(chdir("/") == 0);
}

static void ask_glob_of(const char *pattern, int flags)
{
	glob_t found;
	int result = glob(pattern, flags, NULL, &found);

	say("glob %s: %d, %zu", pattern, result, result ? 0 : found.gl_pathc);
	for (size_t i = 0; result == 0 && i < found.gl_pathc; i++)
		say("  %s", found.gl_pathv[i]);
	if (result == 0)
		globfree(&found);
}

static void ask_glob(void)
{
	glob64_t found;

	ask_glob_of(D "/*", 0);
	ask_glob_of(D "/*", GLOB_MARK);
	ask_glob_of(D "/.h*", 0);
	ask_glob_of(TOP "/*/sub/?", 0);
	ask_glob_of("/dev/sh[m]/top/none", 0);
	ask_glob_of(D "/none*", 0);
	ask_glob_of(D "/none*", GLOB_NOCHECK);
	ask_glob_of(D "/{a,b}", GLOB_BRACE);
	ask_glob_of(D "/*/", GLOB_ONLYDIR);
	ask_glob_of("//dev//shm//top/fol*/a", 0);
	must(chdir(D) == 0);
	ask_glob_of("s*/c", 0);
	ask_glob_of("../fol*/b", 0);
	must(chdir("/") == 0);
	say("glob64: %d", glob64(D "/a*", 0, NULL, &found));
	globfree64(&found);
	/* Where the host has no /dev/shm there is none to be found. */
	differs("lists: a pattern that matches shm", "%d", glob64("/dev/sh[m]/top", 0, NULL,
	                                                          &found));
	globfree64(&found);
}

static void body(void)
{
	lay_out();
	ask_kinds();
	ask_old_forms();
	ask_descriptors();
	ask_places();
	ask_two_readers();
	ask_many();
	ask_removal_while_reading();
	ask_scandir();
	ask_walks();
	ask_fts(FTS_PHYSICAL);
	ask_fts(FTS_PHYSICAL | FTS_NOCHDIR);
	ask_fts(FTS_LOGICAL);
	ask_fts(FTS_PHYSICAL | FTS_NOSTAT);
	ask_glob();
}

static void run(void)
{
	tree_run(body);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, run);
}
