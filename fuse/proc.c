/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/own.h"

enum { PATH_SIZE = 64 };

int proc_stat(pid_t pid, const char *file, struct stat *ret_status)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	return stat(path, ret_status) < 0 ? -errno : 0;
}

ssize_t proc_read(pid_t pid, const char *file, char *bytes, size_t size)
{
	char path[PATH_SIZE];
	ssize_t got;
	OWN_FD fd = -1;

	bytes[0] = '\0';
	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	got = read(fd, bytes, size - 1);
	if (got < 0)
		return -errno;
	bytes[got] = '\0';
	return got;
}
