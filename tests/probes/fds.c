/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs that close descriptors which are not theirs, put others in their place, or have none
 * left. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/probes/probe.h"

#define NAME "/fds"

enum { LAST = 1100, SMALL_TABLE = 200, CYCLES = 100 };

/* Opens the name, tells the number, and looks whether it is the right file. */
static void ask_open(const char *label)
{
	struct stat status = {.st_size = -1};
	int fd = shm_open(NAME, O_RDWR, 0);

	if (fd < 0) {
		say("%s: %s", label, outcome(fd));
		return;
	}
	must(fstat(fd, &status) == 0);
	say("%s: number %d, size %ld", label, fd, (long)status.st_size);
	close(fd);
}

/* The library is at work before the descriptors go. */
static void begin(void)
{
	close(make_segment(NAME, 0600, 77));
}

static void by_close(void *ignored)
{
	(void)ignored;
	begin();
	for (int fd = 3; fd < LAST; fd++)
		close(fd);
	ask_open("after close");
	ask_open("again");
}

static void by_close_range(void *ignored)
{
	(void)ignored;
	begin();
	must(close_range(0, ~0U, 0) == 0);
	ask_open("after close_range");
}

static void by_closefrom(void *ignored)
{
	(void)ignored;
	begin();
	closefrom(3);
	ask_open("after closefrom");
}

/* As a child inherits them. */
static void after_parents(void *ignored)
{
	(void)ignored;
	for (int fd = 3; fd < LAST; fd++)
		close(fd);
	ask_open("child after close");
}

static void fill_table(int with)
{
	struct rlimit limit = {LAST, LAST};

	setrlimit(RLIMIT_NOFILE, &limit);
	for (int fd = 3; fd < LAST; fd++)
		if (fd != with)
			dup2(with, fd);
}

/* Every number but 3 to 9 is a foreign file's, which must stay as it is. */
static void ask_over(const char *label, int foreign)
{
	struct stat before, after;
	int moved = fcntl(foreign, F_DUPFD, 20);
	int wrong = 0;

	must(moved >= 0 && fstat(moved, &before) == 0);
	begin();
	fill_table(moved);
	for (int fd = 3; fd < 10; fd++)
		close(fd);
	ask_open(label);
	ask_open(label);
	for (int fd = 10; fd < LAST; fd++)
		if (fstat(fd, &after) == 0)
			wrong += before.st_ino != after.st_ino || before.st_dev != after.st_dev;
	say("{fds: numbers of others} %d", wrong);
}

static void over_by_file(void *ignored)
{
	(void)ignored;
	ask_over("foreign files", open("/dev/null", O_RDWR));
}

/* Nothing may be written to them. */
static void over_by_socket(void *type)
{
	int pair[2];
	char byte;

	must(socketpair(AF_UNIX, *(int *)type, 0, pair) == 0);
	/* The other end goes low, where ask_over leaves it. */
	must(dup2(pair[1], STDIN_FILENO) == STDIN_FILENO);
	ask_over("foreign sockets", pair[0]);
	must(recv(STDIN_FILENO, &byte, 1, MSG_DONTWAIT) == -1);
	must(errno == EAGAIN);
}

static void ask_full(void *ignored)
{
	struct rlimit limit = {SMALL_TABLE, SMALL_TABLE};
	int last = -1;
	int fd;

	(void)ignored;
	begin();
	must(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	while ((fd = open("/dev/null", O_RDONLY)) >= 0)
		last = fd;
	say("full: %s", outcome(-1));
	say("opening: %s", try_open(NAME, O_RDWR, 0));
	say("creating: %s", try_open("/full", O_RDWR | O_CREAT, 0600));
	say("a semaphore: %s", outcome(sem_open("/full", O_CREAT, 0600, 1) == SEM_FAILED ? -1 : 0));
	say("truncating: %s", try_open(NAME, O_RDWR | O_TRUNC, 0));
	say("unlinking: %s", outcome(shm_unlink("/missing")));
	close(last);
	say("one free: %s", try_open(NAME, O_RDWR, 0));
	say("was created: %s", try_open("/full", O_RDWR, 0));
	say("was created: %s", outcome(sem_open("/full", 0) == SEM_FAILED ? -1 : 0));
	fd = shm_open(NAME, O_RDWR, 0);
	say("the one free: %d, size %ld", fd == last, (long)lseek(fd, 0, SEEK_END));
	close(fd);
	say("creating with one free: %s", try_open("/full", O_RDWR | O_CREAT | O_EXCL, 0600));
	say("{fds: a semaphore with one free} %s",
	    outcome(sem_open("/full", O_CREAT | O_EXCL, 0600, 1) == SEM_FAILED ? -1 : 0));
	say("unlinking: %s", outcome(shm_unlink("/full")));
	say("{fds: its name} %s", outcome(sem_unlink("/full")));
}

static int count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	must(folder != NULL);
	while (folder && readdir(folder))
		count++;
	closedir(folder);
	return count;
}

/* What is opened and closed comes back. */
static void ask_leaks(void *ignored)
{
	int before;

	(void)ignored;
	begin();
	before = count_descriptors();
	for (int i = 0; i < CYCLES; i++) {
		sem_t *sem = sem_open(NAME, O_CREAT, 0600, 1);

		must(sem != SEM_FAILED && sem_close(sem) == 0 && sem_unlink(NAME) == 0);
		try_open(NAME, O_RDWR, 0);
		try_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600);
		try_open("/missing", O_RDWR, 0);
	}
	say("descriptors come back: %d", count_descriptors() == before);
}

static void body(void)
{
	static int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};

	must(in_child(by_close, NULL) == 0);
	must(in_child(by_close_range, NULL) == 0);
	must(in_child(by_closefrom, NULL) == 0);
	begin();
	must(in_child(after_parents, NULL) == 0);
	must(in_child(over_by_file, NULL) == 0);
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		must(in_child(over_by_socket, &types[i]) == 0);
	must(in_child(ask_full, NULL) == 0);
	must(in_child(ask_leaks, NULL) == 0);
	must(shm_unlink(NAME) == 0);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
