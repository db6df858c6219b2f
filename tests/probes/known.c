/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A name that is opened again and again while others have it lead elsewhere. Who opens it after a
 * call has returned that changed it finds what that has made of it, however often he has opened it
 * before. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/probes/probe.h"

#define NAME "/known"
#define PATH "/dev/shm/known"
#define OTHER "/known-other"
#define OTHER_PATH "/dev/shm/known-other"
#define THIRD_PATH "/dev/shm/known-third"
#define KEPT_PATH "/dev/shm/known-kept"

enum { ROUNDS = 60, LOOKS = 5, RACERS = 3, RACES = 300, GONE = -1000 };

static struct course {
	atomic_int made; /* what the name leads to has at least this in it */
	atomic_int over;
	atomic_int wrong;
} *course;

/* What a file under a name has in it; GONE: there is none. */
static int value_of(int fd)
{
	int value = -1;

	if (fd < 0)
		return errno == ENOENT ? GONE : -errno;
	must(pread(fd, &value, sizeof value, 0) == sizeof value);
	must(close(fd) == 0);
	return value;
}

static int look_by(int way)
{
	struct stat status;

	switch (way % LOOKS) {
	case 0: return value_of(shm_open(NAME, O_RDWR, 0));
	case 1: return value_of(open(PATH, O_RDONLY));
	case 2: return value_of(openat(AT_FDCWD, PATH, O_RDWR | O_CLOEXEC | O_APPEND));
	case 3: return stat(PATH, &status) == 0 ? (int)status.st_size : GONE;
	default: return value_of(shm_open(NAME, O_RDONLY, 0));
	}
}

/* The file's size is what is in it, too. */
static void make(const char *name, int value)
{
	int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);

	must(fd >= 0 && ftruncate(fd, value + (int)sizeof value) == 0);
	must(pwrite(fd, &value, sizeof value, 0) == sizeof value && ftruncate(fd, value) == 0);
	must(close(fd) == 0);
}

/* What it led to stays: it has one more name. */
static void keep(void)
{
	must(unlink(KEPT_PATH) == 0 || errno == ENOENT);
	must(link(PATH, KEPT_PATH) == 0);
}

static void replace(int round)
{
	make(OTHER, round);
	keep();
	switch (round % 5) {
	case 0: must(rename(OTHER_PATH, PATH) == 0); break;
	case 1:
		must(renameat2(AT_FDCWD, OTHER_PATH, AT_FDCWD, PATH, RENAME_EXCHANGE) == 0);
		must(shm_unlink(OTHER) == 0);
		break;
	case 2:
		must(shm_unlink(NAME) == 0 && link(OTHER_PATH, PATH) == 0);
		must(unlink(OTHER_PATH) == 0);
		break;
	case 3:
		must(unlink(PATH) == 0 && rename(OTHER_PATH, PATH) == 0);
		break;
	default:
		must(rename(PATH, THIRD_PATH) == 0 && rename(OTHER_PATH, PATH) == 0);
		must(unlink(THIRD_PATH) == 0);
	}
}

static int lowest_free(void)
{
	int fd = dup(0);

	must(fd >= 0 && close(fd) == 0);
	return fd;
}

/* Looks when it is told to, and tells what it has found. */
static void watch(const int *pipes)
{
	int free_before = lowest_free();
	int way;

	while (read(pipes[0], &way, sizeof way) == sizeof way) {
		int value = look_by(way);

		must(write(pipes[1], &value, sizeof value) == sizeof value);
	}
	must(lowest_free() == free_before);
}

struct watcher {
	pid_t pid;
	int ask, hear;
};

static struct watcher start(void)
{
	int there[2], back[2];
	struct watcher watcher;

	must(pipe(there) == 0 && pipe(back) == 0);
	watcher.pid = fork();
	if (watcher.pid == 0) {
		close(there[1]);
		close(back[0]);
		watch((int[]){there[0], back[1]});
		_exit(EXIT_SUCCESS);
	}
	close(there[0]);
	close(back[1]);
	watcher.ask = there[1];
	watcher.hear = back[0];
	return watcher;
}

static int look(const struct watcher *watcher, int way)
{
	int value = INT_MIN;

	must(write(watcher->ask, &way, sizeof way) == sizeof way);
	must(read(watcher->hear, &value, sizeof value) == sizeof value);
	return value;
}

static void end(const struct watcher *watcher)
{
	close(watcher->ask);
	close(watcher->hear);
	must(await_child(watcher->pid) == 0);
}

/* By another process, and by the one that changes it. */
static void look_by_all(const struct watcher *watcher, int wanted, int *wrong)
{
	for (int way = 0; way < 3 * LOOKS; way++) {
		*wrong += look(watcher, way) != wanted;
		*wrong += look_by(way) != wanted;
	}
}

static void change(void)
{
	struct watcher watcher = start();
	int wrong = 0;

	make(NAME, 4);
	for (int round = 5; round < ROUNDS; round++) {
		replace(round);
		look_by_all(&watcher, round, &wrong);
	}
	must(shm_unlink(NAME) == 0);
	look_by_all(&watcher, GONE, &wrong);
	must(symlink(OTHER_PATH, PATH) == 0);
	must(look(&watcher, 1) == GONE);
	make(OTHER, 7);
	for (int i = 0; i < LOOKS; i++)
		wrong += look(&watcher, 1) != 7;
	must(shm_unlink(OTHER) == 0);
	wrong += look(&watcher, 1) != GONE;
	must(unlink(PATH) == 0 && unlink(KEPT_PATH) == 0);
	end(&watcher);
	say("looks at a name that changes: %d wrong", wrong);
}

/* Never what has been replaced before the look began. */
static void race_along(void)
{
	int free_before = lowest_free();

	for (int way = 0; !course->over; way++) {
		int least = course->made;
		int value = look_by(way);

		if (value >= 0 && value < least)
			atomic_fetch_add(&course->wrong, 1);
	}
	must(lowest_free() == free_before);
}

static void race(void)
{
	pid_t racers[RACERS];

	make(NAME, 4);
	course->made = 4;
	for (int i = 0; i < RACERS; i++) {
		racers[i] = fork();
		if (racers[i] == 0) {
			race_along();
			_exit(EXIT_SUCCESS);
		}
	}
	for (int round = 5; round < RACES; round++) {
		replace(round);
		course->made = round;
	}
	course->over = 1;
	for (int i = 0; i < RACERS; i++)
		must(await_child(racers[i]) == 0);
	must(shm_unlink(NAME) == 0 && unlink(KEPT_PATH) == 0);
	say("looks meanwhile: %d wrong", course->wrong);
}

/* What open(2) leaves is the same the first time and later. */
static void flags(void)
{
	static const int all[] = {
		O_RDONLY, O_RDWR, O_WRONLY | O_APPEND, O_RDWR | O_NONBLOCK, O_RDWR | O_CREAT,
		O_RDWR | O_CLOEXEC, O_RDONLY | O_NOFOLLOW, O_RDWR | O_DSYNC,
	};
	int first[sizeof all / sizeof all[0]];
	int wrong = 0;

	for (int turn = 0; turn < LOOKS; turn++) {
		for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
			int fd = open(PATH, all[i], 0600);
			int got = fcntl(fd, F_GETFL) << 1 | (fcntl(fd, F_GETFD) & FD_CLOEXEC);

			must(fd >= 0 && close(fd) == 0);
			if (!turn)
				first[i] = got;
			wrong += got != first[i];
		}
	}
	say("flags: %d wrong", wrong);
}

static void modes(void)
{
	int free_before = lowest_free();
	struct stat status;

	for (int i = 0; i < LOOKS; i++)
		must(look_by(i) == 9);
	must(chmod(PATH, 0) == 0);
	say("without a right: %s", try_open(NAME, O_RDWR, 0));
	must(chmod(PATH, 0400) == 0);
	say("to be read: %s, %s", try_open(NAME, O_RDONLY, 0), try_open(NAME, O_RDWR, 0));
	must(chmod(PATH, 0600) == 0);
	say("exclusively: %s", try_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600));
	say("as a folder: %s", outcome(open(PATH, O_RDONLY | O_DIRECTORY)));
	must(close(shm_open(NAME, O_RDWR | O_TRUNC, 0)) == 0);
	must(stat(PATH, &status) == 0);
	say("truncated: %lld", (long long)status.st_size);
	must(lowest_free() == free_before);
}

static void semaphores(void)
{
	sem_t *sems[LOOKS];
	int value;

	for (int round = 0; round < LOOKS; round++) {
		sem_t *sem = sem_open(NAME, O_CREAT | O_EXCL, 0600, 10 + (unsigned)round);

		must(sem != SEM_FAILED);
		for (int i = 0; i < LOOKS; i++) {
			sems[i] = sem_open(NAME, i % 2 ? O_CREAT : 0, 0600, 3);
			must(sems[i] == sem);
			must(sem_post(sems[i]) == 0);
		}
		for (int i = 0; i < LOOKS; i++)
			must(sem_close(sems[i]) == 0);
		must(sem_close(sem) == 0 && (sem = sem_open(NAME, 0)) != SEM_FAILED);
		must(sem_getvalue(sem, &value) == 0 && value == 10 + round + LOOKS);
		must(sem_close(sem) == 0 && sem_unlink(NAME) == 0);
	}
	say("a semaphore that is gone: %s", sem_open(NAME, 0) == SEM_FAILED ? outcome(-1) : "ok");
}

/* Without what the library has open. */
static void after_closing(void *ignored)
{
	(void)ignored;
	syscall(SYS_close_range, 3U, ~0U, 0U);
	must(open("/", O_RDONLY | O_DIRECTORY) >= 0);
	for (int i = 0; i < 3 * LOOKS; i++)
		must(look_by(i) == 9);
	closefrom(3);
	for (int i = 0; i < 3 * LOOKS; i++)
		must(look_by(i) == 9);
	must(lowest_free() == 3);
}

static void body(void)
{
	course = shared_memory(sizeof *course);
	umask(022);
	change();
	race();
	make(NAME, 9);
	flags();
	must(in_child(after_closing, NULL) == 0);
	modes();
	must(shm_unlink(NAME) == 0);
	semaphores();
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
