/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/creator.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "fuse/proc.h"

enum { STAT_START_FIELD = 22 };

/* The second field is the command in brackets and may hold anything: fields are counted from its
 * end. */
static uint64_t parse_start(const char *stat)
{
	const char *at = strrchr(stat, ')');

	for (int field = 2; at && field < STAT_START_FIELD; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at + 1, NULL, 10) : 0;
}

static void join_words(char *words, size_t size)
{
	while (size && !words[size - 1])
		size--;
	for (size_t i = 0; i < size; i++)
		if (!words[i])
			words[i] = ' ';
}

uint64_t creator_start(pid_t pid)
{
	char stat[1024];

	return proc_read(pid, "stat", stat, sizeof stat) > 0 ? parse_start(stat) : 0;
}

/* The last one asked after: as long as its command line can be read by what was opened then it is
 * the same process, whatever it executes meanwhile, and began when it began. */
static struct {
	pid_t pid;
	int command;
	uint64_t start;
} last = {.command = -1};

static ssize_t read_command_again(pid_t pid, char *bytes, size_t size)
{
	return pid && last.pid == pid ? pread(last.command, bytes, size - 1, 0) : -1;
}

static void look_up(pid_t pid)
{
	int command = proc_open(pid, "cmdline");

	last.pid = command < 0 ? 0 : pid;
	last.start = creator_start(pid);
	if (command < 0)
		return;
	fd_close_at(&last.command);
	last.command = command;
}

void creator_begin(void)
{
	look_up(getpid());
}

struct store_creator creator_describe(pid_t pid, uid_t uid)
{
	struct store_creator creator = {.pid = (uint32_t)pid, .uid = uid};
	ssize_t size = read_command_again(pid, creator.command, sizeof creator.command);

	if (size <= 0) {
		look_up(pid);
		size = read_command_again(pid, creator.command, sizeof creator.command);
	}
	creator.start = last.start;
	if (size > 0)
		join_words(creator.command, (size_t)size);
	return creator;
}
