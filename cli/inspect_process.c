/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A process and its descendants: which have the library mapped, and why the others have not. */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/inspect.h"
#include "cli/inspection.h"
#include "cli/say.h"

struct process {
	pid_t pid;
	pid_t parent;
	char state;
	bool is_told;
};

struct tree {
	struct process *all; /* owned */
	size_t count;
	size_t room;
};

/* "PID (COMMAND) STATE PARENT ...": a command can have anything in it. */
static bool read_process(pid_t pid, struct process *ret_process)
{
	char path[64], text[512];
	OWN_FD file = -1;
	ssize_t length;
	char *end;
	int parent;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	file = open(path, O_RDONLY | O_CLOEXEC);
	length = file < 0 ? -1 : read(file, text, sizeof text - 1);
	if (length <= 0)
		return false;
	text[length] = '\0';
	end = strrchr(text, ')');
	*ret_process = (struct process){.pid = pid};
	if (!end || sscanf(end + 1, " %c %d", &ret_process->state, &parent) != 2)
		return false;
	ret_process->parent = parent;
	return true;
}

static struct tree read_tree(void)
{
	DIR *folder = opendir("/proc");
	struct tree tree = {.all = NULL};
	struct dirent *entry;

	if (!folder)
		fail("cannot look through /proc: %s", strerror(errno));
	while ((entry = readdir(folder))) {
		pid_t pid = (pid_t)atoi(entry->d_name);

		if (tree.count == tree.room) {
			tree.room = tree.room ? 2 * tree.room : 256;
			tree.all = reallocarray(tree.all, tree.room, sizeof *tree.all);
			if (!tree.all)
				fail("cannot look through /proc: %s", strerror(ENOMEM));
		}
		if (pid > 0 && read_process(pid, &tree.all[tree.count]))
			tree.count++;
	}
	closedir(folder);
	return tree;
}

static int open_of(pid_t pid, const char *what)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, what);
	return sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
}

/* Returns 1 if a file of a process has the text in it, 0, or -errno. */
static int has_text(pid_t pid, const char *what, const char *text)
{
	OWN_FD file = open_of(pid, what);
	char *word = NULL;
	size_t size = 0;
	int found = 0;
	FILE *stream;

	if (file < 0)
		return file;
	stream = fdopen(fd_steal(&file), "r");
	/* The environment's end in NULs, lines of the map do not. */
	while (stream && !found && getdelim(&word, &size, what[0] == 'e' ? '\0' : '\n', stream) > 0)
		found = strstr(word, text) && (what[0] != 'e' ||
		                               strncmp(word, "LD_PRELOAD=", 11) == 0);
	if (stream)
		fclose(stream);
	free(word);
	return found;
}

/* Whether the kernel told its loader to trust nobody. */
static bool is_secure(pid_t pid)
{
	OWN_FD file = open_of(pid, "auxv");
	unsigned long pairs[128];
	ssize_t size = file < 0 ? 0 : read(file, pairs, sizeof pairs);

	for (size_t i = 0; size > 0 && i + 1 < (size_t)size / sizeof pairs[0]; i += 2)
		if (pairs[i] == AT_SECURE)
			return pairs[i + 1] != 0;
	return false;
}

/* Its program's path, or, where this user may not know that, its name in brackets. */
static void name_of(pid_t pid, char ret_path[static PATH_MAX])
{
	OWN_FD file = -1;
	char link[64];
	ssize_t length;

	snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
	length = readlink(link, ret_path, PATH_MAX - 1);
	if (length >= 0) {
		ret_path[length] = '\0';
		return;
	}
	file = open_of(pid, "comm");
	length = file < 0 ? 0 : read(file, ret_path + 1, PATH_MAX - 3);
	length = length > 0 ? length : 1;
	ret_path[0] = '[';
	memcpy(ret_path + length, "]", sizeof "]");
}

static bool is_ours(const struct inspection *inspection, const char *path)
{
	char self[PATH_MAX];

	name_of(getpid(), self);
	return strcmp(path, inspection->judge.parts.daemon) == 0 || strcmp(path, self) == 0;
}

static struct judgement say_reach(enum reach reach, const char *words)
{
	struct judgement judgement = {.reach = reach};

	snprintf(judgement.words, sizeof judgement.words, "%s", words);
	return judgement;
}

/* Of one that has not got it. */
static struct judgement find_why(const struct inspection *inspection, pid_t pid)
{
	OWN_FD file = open_of(pid, "exe");
	struct judgement judgement;
	struct binary binary;
	bool is_dynamic;

	if (is_secure(pid))
		return say_reach(REACH_NO, "it has more rights than its caller (setuid or the "
		                 "like): the loader ignores LD_PRELOAD");
	if (file < 0 || binary_read(file, &binary) < 0)
		return say_reach(REACH_NO, "the library is not mapped");
	judgement = judge_binary(&inspection->judge, &binary);
	is_dynamic = binary.interpreter != NULL;
	binary_deinit(&binary);
	if (judgement.reach == REACH_NO || !is_dynamic)
		return judgement;
	if (has_text(pid, "environ", "libshmemu") > 0)
		return say_reach(REACH_NO, "LD_PRELOAD names the library, but it is not mapped");
	return say_reach(REACH_NO, "it was started without the library in LD_PRELOAD");
}

static struct judgement judge_process(const struct inspection *inspection,
                                      const struct process *process, const char *path)
{
	int mapped = has_text(process->pid, "maps", "/libshmemu.so");

	if (process->state == 'Z' || process->state == 'X')
		return say_reach(REACH_NONE, "has ended");
	if (is_ours(inspection, path))
		return say_reach(REACH_NONE, "shmemu's own, which has no need of it");
	if (mapped < 0)
		return say_reach(REACH_MAY, "this user may not look into it");
	return mapped ? say_reach(REACH_YES, "the library is mapped")
	              : find_why(inspection, process->pid);
}

struct counts {
	int of[REACH_NONE + 1];
};

static void add(struct inspection *inspection, const struct tree *tree, struct process *process,
                struct counts *counts)
{
	char path[PATH_MAX];
	struct judgement judgement;

	/* Numbers may have been given anew while they were read. */
	if (process->is_told || process->pid == getpid())
		return;
	process->is_told = true;
	name_of(process->pid, path);
	judgement = judge_process(inspection, process, path);
	counts->of[judgement.reach]++;
	inspection_add(inspection, process->pid, path, &judgement);
	for (size_t i = 0; i < tree->count; i++)
		if (tree->all[i].parent == process->pid)
			add(inspection, tree, &tree->all[i], counts);
}

static struct process *find_process(const struct tree *tree, pid_t pid)
{
	for (size_t i = 0; i < tree->count; i++)
		if (tree->all[i].pid == pid)
			return &tree->all[i];
	fail("there is no process %d", (int)pid);
}

static void conclude(struct inspection *inspection, const struct counts *counts, int all)
{
	char text[256], lacking[64] = "", unknown[64] = "";

	if (counts->of[REACH_NO])
		snprintf(lacking, sizeof lacking, ", %d not", counts->of[REACH_NO]);
	if (counts->of[REACH_MAY])
		snprintf(unknown, sizeof unknown, ", %d can't be looked into",
		         counts->of[REACH_MAY]);
	snprintf(text, sizeof text, "of %d processes %d have the library%s%s", all,
	         counts->of[REACH_YES], lacking, unknown);
	inspection_end(inspection, text);
}

int inspect_process(pid_t pid, bool json, bool colours)
{
	struct tree tree = read_tree();
	struct process *process = find_process(&tree, pid);
	struct inspection inspection;
	struct counts counts = {{0}};
	int lacking;

	inspection_begin(&inspection, json, colours, true);
	add(&inspection, &tree, process, &counts);
	free(tree.all);
	lacking = counts.of[REACH_NO] + counts.of[REACH_MAY];
	conclude(&inspection, &counts, counts.of[REACH_YES] + lacking);
	return lacking ? INSPECTION_UNFIT : INSPECTION_FIT;
}
