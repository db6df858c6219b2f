/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Named semaphores: identity, life, values, rights. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tests/probes/probe.h"

#define NAME "/semaphore"
#define FILE_NAME "/sem.semaphore"

enum { MANY = 300 };

static int value_of(sem_t *sem)
{
	int value = -1;

	return sem_getvalue(sem, &value) == 0 ? value : -1;
}

static sem_t *make(unsigned value)
{
	sem_t *sem;

	sem_unlink(NAME);
	sem = sem_open(NAME, O_CREAT | O_EXCL, 0600, value);
	must(sem != SEM_FAILED && value_of(sem) == (int)value);
	return sem;
}

/* Opens, tells, closes. */
static void ask_open(const char *label, int flags, mode_t mode, unsigned value)
{
	sem_t *sem = sem_open(NAME, flags, mode, value);

	if (sem == SEM_FAILED) {
		say("%s: %s", label, outcome(-1));
		return;
	}
	say("%s: value %d", label, value_of(sem));
	must(sem_close(sem) == 0);
}

static void ask_identity(void)
{
	sem_t *one = make(3);
	sem_t *two = sem_open(NAME, 0);
	sem_t *other;

	say("same address: %d", one == two);
	say("close: %s", outcome(sem_close(two)));
	say("value %d", value_of(one));
	must(sem_unlink(NAME) == 0);
	say("unlinked: wait %s", outcome(sem_wait(one)));
	say("value %d", value_of(one));
	other = sem_open(NAME, O_CREAT | O_EXCL, 0600, 7);
	must(other != SEM_FAILED);
	say("made again: another %d, values %d %d", other != one, value_of(one), value_of(other));
	say("close: %s", outcome(sem_close(one)));
	say("close: %s", outcome(sem_close(other)));
	say("once more: %s", outcome(sem_close(one)));
	say("an address that never was: %s", outcome(sem_close((sem_t *)&one)));
	ask_open("after the close", 0, 0, 0);
	must(sem_unlink(NAME) == 0);
	ask_open("after the unlink", 0, 0, 0);
}

static void ask_values(void)
{
	static const unsigned values[] = {0, 1, 2, SEM_VALUE_MAX, SEM_VALUE_MAX + 1U, UINT_MAX};
	static const int flags[] = {O_CREAT, O_CREAT | O_EXCL};
	char label[64];
	sem_t *full;

	for (size_t i = 0; i < 4 * sizeof values / sizeof values[0]; i++) {
		unsigned value = values[i / 4];
		bool exists = i / 2 % 2;

		sem_unlink(NAME);
		if (exists)
			sem_close(make(5));
		snprintf(label, sizeof label, "value %u, flags %o%s", value, flags[i % 2],
		         exists ? ", there" : "");
		ask_open(label, flags[i % 2], 0600, value);
	}
	full = make(SEM_VALUE_MAX);
	say("post of a full one: %s", outcome(sem_post(full)));
	sem_close(full);
	sem_unlink(NAME);
}

static void ask_flags(void)
{
	ask_open("missing", 0, 0, 0);
	ask_open("missing, exclusive without creating", O_EXCL, 0, 0);
	ask_open("missing, read-write", O_RDWR, 0, 0);
	sem_close(make(2));
	ask_open("there, exclusive without creating", O_EXCL, 0, 0);
	ask_open("there, write-only", O_WRONLY, 0, 0);
	ask_open("there, creating", O_CREAT | O_RDWR, 0, 9);
	ask_open("there, close-on-exec", O_CLOEXEC, 0, 0);
	must(sem_unlink(NAME) == 0);
}

static void ask_modes(void)
{
	static const mode_t masks[] = {0000, 0022, 0077};
	static const mode_t modes[] = {0666, 0600, 0400, 0200, 0000, 0644};
	struct stat status;

	for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++)
		for (size_t j = 0; j < sizeof modes / sizeof modes[0]; j++) {
			sem_t *sem;
			int fd;

			umask(masks[i]);
			sem = sem_open(NAME, O_CREAT | O_EXCL, modes[j], 1);
			say("umask %o, mode %o: %s", masks[i], modes[j],
			    outcome(sem == SEM_FAILED ? -1 : 0));
			fd = shm_open(FILE_NAME, O_PATH, 0);
			must(fd >= 0 && fstat(fd, &status) == 0);
			say("file: mode %o size %ld", status.st_mode, (long)status.st_size);
			ask_open("again", 0, 0, 0);
			ask_open("again, creating", O_CREAT, 0600, 1);
			close(fd);
			if (sem != SEM_FAILED)
				must(sem_close(sem) == 0);
			must(sem_unlink(NAME) == 0);
		}
	umask(022);
}

static void post_and_close(void *argument)
{
	sem_t *mine = sem_open(NAME, 0);

	say("child: same address as inherited: %d", mine == argument);
	must(sem_post(mine) == 0);
	say("child: close %s", outcome(sem_close(mine)));
	say("child: close of the inherited %s", outcome(sem_close(argument)));
	say("child: once more %s", outcome(sem_close(argument)));
}

static void ping_pong(void *argument)
{
	sem_t **pair = argument;

	for (int i = 0; i < 1000; i++)
		must(sem_wait(pair[0]) == 0 && sem_post(pair[1]) == 0);
}

static void ask_processes(void)
{
	sem_t *pair[2] = {make(0), sem_open("/other", O_CREAT | O_EXCL, 0600, 0)};
	pid_t pid;

	must(pair[1] != SEM_FAILED);
	say("child: %d", in_child(post_and_close, pair[0]));
	say("after it: value %d", value_of(pair[0]));
	say("trywait: %s", outcome(sem_trywait(pair[0])));
	say("once more: %s", outcome(sem_trywait(pair[0])));
	pid = fork();
	if (pid == 0) {
		ping_pong(pair);
		_exit(EXIT_SUCCESS);
	}
	for (int i = 0; i < 1000; i++)
		must(sem_post(pair[0]) == 0 && sem_wait(pair[1]) == 0);
	say("ping-pong: %d", await_child(pid));
	say("values %d %d", value_of(pair[0]), value_of(pair[1]));
	must(sem_close(pair[0]) == 0 && sem_close(pair[1]) == 0);
	must(sem_unlink(NAME) == 0 && sem_unlink("/other") == 0);
}

static void ring(int number)
{
	(void)number;
}

static void ask_waits(void)
{
	struct sigaction bell = {.sa_handler = ring};
	struct itimerval soon = {.it_value.tv_usec = 20000};
	struct timespec when;
	sem_t *sem = make(0);

	clock_gettime(CLOCK_REALTIME, &when);
	say("deadline passed: %s", outcome(sem_timedwait(sem, &when)));
	when.tv_nsec = 1000000000;
	say("no time at all: %s", outcome(sem_timedwait(sem, &when)));
	clock_gettime(CLOCK_MONOTONIC, &when);
	say("by the other clock: %s", outcome(sem_clockwait(sem, CLOCK_MONOTONIC, &when)));
	sigaction(SIGALRM, &bell, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	say("interrupted: %s", outcome(sem_wait(sem)));
	say("value %d", value_of(sem));
	must(sem_close(sem) == 0 && sem_unlink(NAME) == 0);
}

/* A file that others put there. Of a wrong size it is refused or taken as natively: either will
 * do, but nobody may crash. */
static void ask_foreign_files(void)
{
	static const off_t sizes[] = {sizeof(sem_t), 4096};
	sem_t *sem;

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		close(make_segment(FILE_NAME, 0600, sizes[i]));
		ask_open("a file of zeros", 0, 0, 0);
		must(shm_unlink(FILE_NAME) == 0);
	}
	for (off_t size = 0; size < (off_t)sizeof(sem_t); size += (off_t)sizeof(sem_t) - 1) {
		close(make_segment(FILE_NAME, 0600, size));
		sem = sem_open(NAME, 0);
		must(sem != SEM_FAILED || errno == EINVAL);
		if (sem != SEM_FAILED)
			sem_close(sem);
		sem = sem_open(NAME, O_CREAT | O_EXCL, 0600, 1);
		say("made over it: %s", outcome(sem == SEM_FAILED ? -1 : 0));
		must(sem_unlink(NAME) == 0);
	}
}

static void ask_many(void)
{
	sem_t *sems[MANY];
	char name[32];
	int wrong = 0, distinct = 0;

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "/many-%d", i);
		sems[i] = sem_open(name, O_CREAT | O_EXCL, 0600, (unsigned)i);
		wrong += sems[i] == SEM_FAILED;
	}
	for (int i = 0; i < MANY && !wrong; i++) {
		snprintf(name, sizeof name, "/many-%d", i);
		wrong += sem_open(name, 0) != sems[i] || value_of(sems[i]) != i;
		distinct += i == 0 || sems[i] != sems[i - 1];
	}
	say("%d at once: %d wrong, %d distinct", MANY, wrong, distinct);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "/many-%d", i);
		wrong += sem_close(sems[i]) != 0 || value_of(sems[i]) != i;
		wrong += sem_close(sems[i]) != 0 || sem_unlink(name) != 0;
		wrong += sem_close(sems[i]) != -1 || errno != EINVAL;
	}
	say("and gone: %d wrong", wrong);
}

/* The value stays with the name while nobody has it open. */
static void ask_rest(void)
{
	sem_t *sem = make(4);

	must(sem_wait(sem) == 0 && sem_close(sem) == 0);
	ask_open("after a rest", O_CREAT, 0600, 9);
	must(sem_unlink(NAME) == 0);
}

static void body(void)
{
	umask(022);
	ask_identity();
	ask_values();
	ask_flags();
	ask_modes();
	ask_processes();
	ask_waits();
	ask_foreign_files();
	ask_many();
	ask_rest();
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
