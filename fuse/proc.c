/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"

enum { PATH_SIZE = 64 };

int proc_stat(pid_t pid, const char *file, struct stat *ret_status)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	return stat(path, ret_status) < 0 ? -errno : 0;
}

int proc_open(pid_t pid, const char *file)
{
	char path[PATH_SIZE];
	int fd;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

ssize_t proc_read(pid_t pid, const char *file, char *bytes, size_t size)
{
	OWN_FD fd = proc_open(pid, file);
	ssize_t got;

	bytes[0] = '\0';
	if (fd < 0)
		return fd;
	got = read(fd, bytes, size - 1);
	if (got < 0)
		return -errno;
	bytes[got] = '\0';
	return got;
}

/* A capability in another user namespace is none here. */
static bool shares_user_namespace(pid_t pid)
{
	struct stat own;
	struct stat other;

	return stat("/proc/self/ns/user", &own) == 0 && proc_stat(pid, "ns/user", &other) == 0 &&
	       own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

bool proc_is_alive(int pidfd)
{
	struct pollfd process = {.fd = pidfd, .events = POLLIN};

	return poll(&process, 1, 0) == 0;
}

const char *proc_status_line(const char *status, const char *key)
{
	const char *line = strstr(status, key);

	return line ? line + strlen(key) : NULL;
}

static const char *read_status(pid_t pid, const char *status, char room[static PROC_STATUS_SIZE])
{
	if (!status && proc_read(pid, "status", room, PROC_STATUS_SIZE) < 0)
		return "";
	return status ? status : room;
}

bool proc_has_capability(pid_t pid, const char *status, int capability)
{
	char room[PROC_STATUS_SIZE];
	const char *set = proc_status_line(read_status(pid, status, room), "\nCapEff:\t");

	return set && (strtoull(set, NULL, 16) >> capability & 1) && shares_user_namespace(pid);
}

bool proc_has_group(pid_t pid, const char *status, gid_t gid)
{
	char room[PROC_STATUS_SIZE];
	const char *at = proc_status_line(read_status(pid, status, room), "\nGroups:\t");
	char *end;

	while (at && *at != '\n') {
		unsigned long one = strtoul(at, &end, 10);

		if (end == at)
			return false;
		if (one == gid)
			return true;
		at = end + strspn(end, " ");
	}
	return false;
}

uint64_t proc_limit(pid_t pid, const char *key, uint64_t unknown)
{
	char limits[PROC_STATUS_SIZE];
	const char *line = NULL;
	uint64_t limit;
	char *end;

	if (pid > 0 && proc_read(pid, "limits", limits, sizeof limits) > 0)
		line = proc_status_line(limits, key);
	if (!line)
		return unknown;
	limit = strtoull(line, &end, 10);
	return end == line ? PROC_UNLIMITED : limit;
}
