/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's limits on what shared memory needs. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/own.h"
#include "cli/facts.h"

static void describe_limit(char text[static 32], rlim_t limit, bool is_bytes)
{
	if (limit == RLIM_INFINITY)
		snprintf(text, 32, "any");
	else if (is_bytes)
		fact_bytes(limit, text);
	else
		snprintf(text, 32, "%" PRIu64, (uint64_t)limit);
}

static struct fact find_limit(int resource, bool is_bytes, const char *meaning)
{
	struct rlimit limit = {0, 0};
	char soft[32], hard[32];

	getrlimit((enum __rlimit_resource)resource, &limit);
	describe_limit(soft, limit.rlim_cur, is_bytes);
	describe_limit(hard, limit.rlim_max, is_bytes);
	if (limit.rlim_cur == limit.rlim_max)
		return fact_told("%s (%s)", soft, meaning);
	return fact_told("%s, at most %s (%s)", soft, hard, meaning);
}

static struct fact find_files(void)
{
	return find_limit(RLIMIT_NOFILE, false, "RLIMIT_NOFILE; an ordinary user's daemon takes "
	                  "one for each segment, up to the hard limit");
}

static struct fact find_file_size(void)
{
	return find_limit(RLIMIT_FSIZE, true, "RLIMIT_FSIZE; of segments, too");
}

static struct fact find_locked(void)
{
	return find_limit(RLIMIT_MEMLOCK, true, "RLIMIT_MEMLOCK; mlock and SHM_LOCK");
}

static struct fact find_queue_bytes(void)
{
	return find_limit(RLIMIT_MSGQUEUE, true, "RLIMIT_MSGQUEUE; the host's queues");
}

/* "name number, ..." of files in a folder; what is not there is left out. */
static struct fact find_settings(const char *folder, const char *const *names)
{
	char text[384] = "";
	size_t length = 0;

	for (; *names; names++) {
		char path[128], value[128];
		OWN_FD file = -1;
		ssize_t size;

		snprintf(path, sizeof path, "%s/%s", folder, *names);
		file = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
		size = file < 0 ? 0 : sys_read(file, value, sizeof value - 1);
		value[size > 0 ? size : 0] = '\0';
		value[strcspn(value, "\n")] = '\0';
		for (char *tab = value; (tab = strchr(tab, '\t')); )
			*tab = ' ';
		if (value[0] && length < sizeof text)
			length += (size_t)snprintf(text + length, sizeof text - length, "%s%s %s",
			                           length ? ", " : "", *names, value);
	}
	if (!text[0])
		return fact_told("%s tells none", folder);
	return fact_told("%s (%s)", text, folder);
}

static struct fact find_shared(void)
{
	static const char *const names[] = {"shmmax", "shmall", "shmmni", "sem", "msgmax", "msgmnb",
	                                    "msgmni", NULL};

	return find_settings("/proc/sys/kernel", names);
}

static struct fact find_queues(void)
{
	static const char *const names[] = {"queues_max", "msg_max", "msgsize_max", NULL};

	return find_settings("/proc/sys/fs/mqueue", names);
}

const struct fact_question limit_questions[] = {
	{"open files", find_files},
	{"size of files", find_file_size},
	{"locked memory", find_locked},
	{"bytes in queues", find_queue_bytes},
	{"System V limits", find_shared},
	{"queue limits", find_queues},
};

const size_t limit_question_count = sizeof limit_questions / sizeof limit_questions[0];
