/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Named semaphores, and calls on paths under /dev/shm. */
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/pairs.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define SIDES "native, shmemu, mount"

static sem_t *open_semaphore(int flags)
{
	sem_t *semaphore = sem_open(own_name(""), flags, 0600, 1);

	if (semaphore == SEM_FAILED)
		die("sem_open");
	return semaphore;
}

static void semaphore_whole(long count)
{
	for (long i = 0; i < count; i++)
		if (sem_close(open_semaphore(O_CREAT | O_EXCL)) < 0 ||
		    sem_unlink(own_name("")) < 0)
			die("a semaphore");
}

static void make_semaphore(long count)
{
	(void)count;
	sem_close(open_semaphore(O_CREAT | O_EXCL));
}

static void remove_semaphore(long count)
{
	(void)count;
	sem_unlink(own_name(""));
}

static void semaphore_opened(long count)
{
	for (long i = 0; i < count; i++)
		if (sem_close(open_semaphore(0)) < 0)
			die("sem_close");
}

static const char *path(void)
{
	return own_name("/dev/shm");
}

static void make(const char *name)
{
	int fd = open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 || close(fd) < 0)
		die(name);
}

static void make_file(long count)
{
	(void)count;
	make(path());
}

static void remove_file(long count)
{
	(void)count;
	unlink(path());
}

static void path_opened(long count)
{
	for (long i = 0; i < count; i++) {
		int fd = open(path(), O_RDWR | O_CLOEXEC);

		if (fd < 0 || close(fd) < 0)
			die(path());
	}
}

static void path_looked_at(long count)
{
	struct stat found;

	for (long i = 0; i < count; i++)
		if (stat(path(), &found) < 0)
			die(path());
}

static const char *numbered(long number)
{
	static char name[128];

	snprintf(name, sizeof name, "%s-%ld", path(), number);
	return name;
}

static void make_files(long count)
{
	for (long i = 0; i < count; i++)
		make(numbered(i));
}

static void remove_files(long count)
{
	for (long i = 0; i < count; i++)
		if (unlink(numbered(i)) < 0)
			die("unlink");
}

static const struct pairs_kind kinds[] = {
	{"sem_open, close, unlink; new", semaphore_whole, 5000, .sides = SIDES},
	{"sem_open, close", semaphore_opened, 5000, make_semaphore, remove_semaphore,
	 .sides = SIDES},
	{"open, close under /dev/shm", path_opened, 10000, make_file, remove_file, .sides = SIDES},
	{"stat under /dev/shm", path_looked_at, 20000, make_file, remove_file, .sides = SIDES},
	{"create under /dev/shm", make_files, 5000, NULL, remove_files, .cold = true,
	 .sides = SIDES},
	{"unlink under /dev/shm", remove_files, 5000, make_files, .cold = true, .sides = SIDES},
};

int main(int argc, char **argv)
{
	const struct pairs pairs = {kinds, COUNT(kinds)};

	return pairs_main(&pairs, argc, argv);
}
