/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/probes/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/probes/probe.h"

#define MARK "--helper"

extern char **environ;

struct command {
	char program[PATH_MAX];
	char mark[sizeof MARK];
	char task[2];
	char fd[16];
	char *argv[6];
};

static void prepare(struct command *command, enum helper_task task, int fd, const char *name)
{
	ssize_t length = readlink("/proc/self/exe", command->program, sizeof command->program - 1);

	must(length > 0);
	command->program[length] = '\0';
	strcpy(command->mark, MARK);
	snprintf(command->task, sizeof command->task, "%c", task);
	snprintf(command->fd, sizeof command->fd, "%d", fd);
	command->argv[0] = command->program;
	command->argv[1] = command->mark;
	command->argv[2] = command->task;
	command->argv[3] = command->fd;
	command->argv[4] = name ? strdup(name) : NULL;
	command->argv[5] = NULL;
}

_Noreturn void helper_become(enum helper_task task, int fd, const char *name)
{
	struct command command;

	prepare(&command, task, fd, name);
	execv(command.program, command.argv);
	_exit(HELPER_OTHER);
}

int helper_exec(enum helper_task task, int fd, const char *name)
{
	pid_t pid = fork();

	if (pid == 0)
		helper_become(task, fd, name);
	return await_child(pid);
}

int helper_spawn(enum helper_task task, int fd, const char *name)
{
	struct command command;
	pid_t pid;

	prepare(&command, task, fd, name);
	if (posix_spawn(&pid, command.program, NULL, NULL, command.argv, environ) != 0)
		return HELPER_OTHER;
	return await_child(pid);
}

int helper_system(enum helper_task task, int fd, const char *name)
{
	struct command command;
	char line[PATH_MAX + 128];
	int status;

	prepare(&command, task, fd, name);
	snprintf(line, sizeof line, "'%s' %s %s %s %s", command.program, command.mark, command.task,
	         command.fd, name);
	status = system(line);
	return WIFEXITED(status) ? WEXITSTATUS(status) : HELPER_OTHER;
}

bool helper_is_meant(int argc, char **argv)
{
	return argc > 3 && strcmp(argv[1], MARK) == 0;
}

int helper_main(int argc, char **argv)
{
	char found[sizeof HELPER_TEXT] = "";
	int fd = atoi(argv[3]);

	if (argv[2][0] == HELPER_OPEN)
		fd = argc > 4 ? shm_open(argv[4], O_RDONLY, 0) : -1;
	if (fd < 0)
		return errno == ENOENT ? HELPER_ENOENT : HELPER_OTHER;
	if (pread(fd, found, sizeof found, 0) < 0)
		return errno == EBADF ? HELPER_EBADF : HELPER_OTHER;
	return strcmp(found, HELPER_TEXT) == 0 ? HELPER_YES : HELPER_NO;
}

int helper_send_fd(int sock, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct iovec part = {(char[]){'x'}, 1};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes,
	};
	struct cmsghdr *item = CMSG_FIRSTHDR(&message);

	item->cmsg_level = SOL_SOCKET;
	item->cmsg_type = SCM_RIGHTS;
	item->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(item), &fd, sizeof fd);
	return sendmsg(sock, &message, 0) == 1 ? 0 : -1;
}

int helper_receive_fd(int sock)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec part = {&byte, 1};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes,
	};
	int fd = -1;

	if (recvmsg(sock, &message, 0) == 1 && CMSG_FIRSTHDR(&message))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
	return fd;
}

sem_t *helper_semaphore(const char *name)
{
	sem_t *sem = sem_open(name, O_CREAT, 0600, 1);

	return sem == SEM_FAILED ? NULL : sem;
}
