/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/holders.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cli/say.h"

struct holder {
	uint64_t device;
	uint64_t file;
	pid_t pid;
};

struct holders {
	struct holder *all; /* sorted */
	size_t count;
	size_t room;
};

static void add(struct holders *holders, uint64_t device, uint64_t file, pid_t pid)
{
	if (holders->count == holders->room) {
		size_t room = holders->room ? 2 * holders->room : 1024;
		struct holder *all = reallocarray(holders->all, room, sizeof *all);

		if (!all)
			fail("cannot look through /proc: %s", strerror(ENOMEM));
		holders->all = all;
		holders->room = room;
	}
	holders->all[holders->count++] = (struct holder){device, file, pid};
}

static void find_open(struct holders *holders, pid_t pid)
{
	char path[64];
	struct dirent *entry;
	DIR *folder;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	folder = opendir(path);
	if (!folder)
		return;
	while ((entry = readdir(folder))) {
		struct stat status;

		if (fstatat(dirfd(folder), entry->d_name, &status, 0) == 0 &&
		    S_ISREG(status.st_mode))
			add(holders, status.st_dev, status.st_ino, pid);
	}
	closedir(folder);
}

/* "START-END RIGHTS OFFSET MAJOR:MINOR INODE ..." */
static void find_mapped(struct holders *holders, pid_t pid)
{
	char path[64];
	char *line = NULL;
	size_t size = 0;
	FILE *maps;

	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	if (!maps)
		return;
	while (getline(&line, &size, maps) > 0) {
		unsigned major, minor;
		unsigned long long file;

		if (sscanf(line, "%*s %*s %*s %x:%x %llu", &major, &minor, &file) == 3 && file)
			add(holders, makedev(major, minor), file, pid);
	}
	free(line);
	fclose(maps);
}

static int compare(const void *left, const void *right)
{
	const struct holder *a = left;
	const struct holder *b = right;

	if (a->device != b->device)
		return a->device < b->device ? -1 : 1;
	if (a->file != b->file)
		return a->file < b->file ? -1 : 1;
	return a->pid < b->pid ? -1 : a->pid > b->pid;
}

struct holders *holders_find(pid_t worker, pid_t keeper)
{
	struct holders *holders = calloc(1, sizeof *holders);
	DIR *folder = opendir("/proc");
	struct dirent *entry;

	if (!holders)
		fail("cannot look through /proc: %s", strerror(ENOMEM));
	while (folder && (entry = readdir(folder))) {
		pid_t pid = (pid_t)atoi(entry->d_name);

		if (pid <= 0 || pid == worker || pid == keeper)
			continue;
		find_open(holders, pid);
		find_mapped(holders, pid);
	}
	if (folder)
		closedir(folder);
	if (holders->count)
		qsort(holders->all, holders->count, sizeof *holders->all, compare);
	return holders;
}

struct holders *holders_free(struct holders *holders)
{
	if (holders)
		free(holders->all);
	free(holders);
	return NULL;
}

pid_t holders_next(const struct holders *holders, uint64_t device, uint64_t file, pid_t pid)
{
	struct holder after = {device, file, pid + 1};
	size_t low = 0;
	size_t high = holders->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&holders->all[middle], &after) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == holders->count || holders->all[low].device != device ||
	    holders->all[low].file != file)
		return 0;
	return holders->all[low].pid;
}
