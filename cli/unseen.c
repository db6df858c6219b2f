/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/unseen.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/path.h"
#include "cli/say.h"

enum { SCRIPTS_MAX = 5, LINE_SIZE = 256, TOLD_MAX = 64 };

static void find(const char *program, pid_t pid, char ret_path[static PATH_MAX])
{
	if (strchr(program, '/') && program[0] != '/')
		snprintf(ret_path, PATH_MAX, "/proc/%d/cwd/%s", (int)pid, program);
	else if (path_find(program, ret_path) < 0)
		ret_path[0] = '\0';
}

/* "#!INTERPRETER", which takes the place of its script. */
static bool is_script(int file, char path[static PATH_MAX])
{
	char line[LINE_SIZE + 1];
	ssize_t size = pread(file, line, LINE_SIZE, 0);
	char *interpreter;

	if (size < 2 || memcmp(line, "#!", 2) != 0)
		return false;
	line[size] = '\0';
	interpreter = line + 2 + strspn(line + 2, " \t");
	interpreter[strcspn(interpreter, " \t\n")] = '\0';
	snprintf(path, PATH_MAX, "%s", interpreter);
	return true;
}

/* Programs are told by what their names hash to: there is room for as many. */
static bool was_told(const char *path)
{
	static unsigned long told[TOLD_MAX];
	unsigned long hash = 5381;

	for (; *path; path++)
		hash = hash * 33 + (unsigned char)*path;
	if (told[hash % TOLD_MAX] == hash)
		return true;
	told[hash % TOLD_MAX] = hash;
	return false;
}

void unseen_tell(const struct judge *judge, const char *program, pid_t pid)
{
	struct judgement judgement = {.reach = REACH_NONE};
	struct binary binary;
	char path[PATH_MAX];
	bool is_again = true;

	find(program, pid, path);
	for (int i = 0; i < SCRIPTS_MAX && is_again && path[0]; i++) {
		OWN_FD file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

		if (file < 0)
			return;
		is_again = is_script(file, path);
		if (is_again || binary_read(file, &binary) < 0)
			continue;
		judgement = judge_program(judge, path, &binary);
		binary_deinit(&binary);
	}
	if (judgement.reach == REACH_NO && !was_told(path))
		say("trace: what %s does is not shown: %s", program, judgement.words);
}
