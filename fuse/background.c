/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/own.h"

static _Noreturn void await_child(int ready)
{
	char byte;
	ssize_t got;

	do
		got = read(ready, &byte, 1);
	while (got < 0 && errno == EINTR);
	_exit(got == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
}

int background_enter(void)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;

	OWN_FD reading = ends[0];
	OWN_FD writing = ends[1];

	child = fork();
	if (child < 0)
		return -errno;
	if (child > 0) {
		fd_close_at(&writing);
		await_child(reading);
	}
	setsid();
	return fd_steal(&writing);
}

static int open_null(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

void background_ready(int fd)
{
	OWN_FD null = open_null();
	OWN_FD done = fd;
	char byte = 1;

	/* A starter that has gone does not matter: SIGPIPE is ignored. */
	if (write(fd, &byte, 1) < 0)
		errno = 0;
	/* It may be standard error, where until now our complaints went: that number must not
	 * become a segment's. */
	if (fd <= STDERR_FILENO && null >= 0)
		dup2(null, fd_steal(&done));
}

void background_detach_output(void)
{
	OWN_FD null = open_null();

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO && null >= 0; fd++)
		dup2(null, fd);
}
