/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/probes/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES_MAX = 64, TEXT_MAX = 256, LONG_COUNT = 4, LONG_SIZE = 5000 };

const char *tree_closed(int fd)
{
	const char *result = outcome(fd);

	if (fd >= 0)
		close(fd);
	return result;
}

const char *tree_error(int error)
{
	errno = error;
	return outcome(error ? -1 : 0);
}

void tree_make(const char *path, mode_t mode, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t length = strlen(text);

	must(fd >= 0 && write(fd, text, length) == (ssize_t)length && fchmod(fd, mode) == 0);
	if (fd < 0) {
		say("cannot make %s", path);
		_exit(EXIT_FAILURE);
	}
	close(fd);
}

static const char *kind_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG: return "file";
	case S_IFDIR: return "folder";
	case S_IFLNK: return "link";
	case S_IFIFO: return "fifo";
	case S_IFSOCK: return "socket";
	case S_IFCHR: return "character device";
	case S_IFBLK: return "block device";
	default: return "nothing known";
	}
}

void tree_show(const char *path)
{
	struct stat status;

	if (lstat(path, &status) < 0) {
		say("%s: %s", path, outcome(-1));
		return;
	}
	say("%s: %s %04o, %lu links, of %s:%s, %ld bytes", path, kind_of(status.st_mode),
	    status.st_mode & 07777, (unsigned long)status.st_nlink,
	    status.st_uid == geteuid() ? "me" : "another",
	    status.st_gid == getegid() ? "mine" : "another", (long)status.st_size);
}

void tree_tell(const char *path)
{
	char text[TEXT_MAX] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	if (length < 0)
		say("%s: cannot be read: %s", path, outcome(-1));
	else
		say("%s holds %zd bytes: %s", path, length, text);
	if (fd >= 0)
		close(fd);
}

static int in_order(const void *left, const void *right)
{
	return strcmp(left, right);
}

void tree_names(const char *path)
{
	DIR *folder = opendir(path);
	char names[NAMES_MAX][TEXT_MAX + 8];
	struct dirent *entry;
	size_t count = 0;

	if (!folder) {
		say("%s: cannot be listed: %s", path, outcome(-1));
		return;
	}
	while (count < NAMES_MAX && (entry = readdir(folder)))
		snprintf(names[count++], sizeof *names, "%s %d", entry->d_name, entry->d_type);
	closedir(folder);
	qsort(names, count, sizeof *names, in_order);
	say("%s has %zu", path, count);
	for (size_t i = 0; i < count; i++)
		say("  %s", names[i]);
}

void tree_remove(const char *path)
{
	char inner[LONG_SIZE];
	struct dirent *entry;
	DIR *folder;

	if (unlink(path) == 0 || errno == ENOENT)
		return;
	folder = opendir(path);
	while (folder && (entry = readdir(folder))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
		tree_remove(inner);
	}
	if (folder)
		closedir(folder);
	must(rmdir(path) == 0);
}

void tree_run(void (*body)(void))
{
	umask(022);
	tree_remove(TOP);
	must(mkdir(TOP, 0755) == 0);
	body();
	umask(022);
	must(chdir("/") == 0);
	tree_remove(TOP);
}

const char *tree_long(const char *before, int byte, size_t length)
{
	static char texts[LONG_COUNT][LONG_SIZE];
	static unsigned turn;
	char *text = texts[turn++ % LONG_COUNT];
	size_t start = strlen(before);

	must(start + length < LONG_SIZE);
	strcpy(text, before);
	memset(text + start, byte, length);
	text[start + length] = '\0';
	return text;
}

struct task {
	uid_t uid;
	void (*body)(void);
};

static void become_and_run(void *argument)
{
	const struct task *task = argument;

	must(setgroups(0, NULL) == 0);
	must(setresgid(task->uid, task->uid, task->uid) == 0);
	must(setresuid(task->uid, task->uid, task->uid) == 0);
	task->body();
}

void tree_as(uid_t uid, void (*body)(void))
{
	struct task task = {uid, body};

	must(in_child(become_and_run, &task) == 0);
}
