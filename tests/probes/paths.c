/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of shared memory by their path in /dev/shm, as CPython's multiprocessing opens them. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "tests/probes/probe.h"

#define NAME "/paths"
#define PATH "/dev/shm/paths"

enum { UNTOUCHED = 4242, NO_FOLDER = 777 };

/* What a fortified program calls. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int folder, const char *path, int flags);

static const char *closed(int fd)
{
	const char *result = outcome(fd);

	if (fd >= 0)
		close(fd);
	return result;
}

static void ask_shapes(void)
{
	const char *volatile none = NULL; /* the compiler need not know */
	static const char *const shapes[] = {
		PATH, "//dev//shm//paths", "/dev/./shm/./paths", "/dev/shm/../shm/paths",
		"/../dev/shm/paths", "/dev/../dev/shm/paths", "/dev/shm/../../dev/shm/paths",
	};

	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
		say("%s: %s", shapes[i], closed(open(shapes[i], O_RDWR | O_CREAT | O_EXCL, 0600)));
		say("by name: %s", try_open(NAME, O_RDWR, 0));
		say("again: %s", closed(open(shapes[i], O_RDONLY)));
		say("unlink: %s", outcome(unlink(shapes[i])));
		say("again: %s", outcome(unlink(shapes[i])));
		say("by name: %s", try_open(NAME, O_RDWR, 0));
	}
	/* Elsewhere. */
	say("/dev/shmpaths: %s", closed(open("/dev/shmpaths", O_RDONLY)));
	say("/dev/shm2/paths: %s", closed(open("/dev/shm2/paths", O_RDONLY)));
	say("dev/shm/paths: %s", closed(open("dev/shm/none/paths", O_RDONLY)));
	say("empty: %s", closed(open("", O_RDONLY)));
	say("none: %s", closed(open(none, O_RDONLY)));
}

static void ask_calls(void)
{
	int fd = open64(PATH, O_RDWR | O_CREAT, 0600);

	say("open64: %s", closed(fd));
	say("openat: %s", closed(openat(AT_FDCWD, PATH, O_RDWR)));
	say("openat of no folder: %s", closed(openat(NO_FOLDER, PATH, O_RDWR)));
	say("openat64: %s", closed(openat64(NO_FOLDER, PATH, O_RDWR | O_CREAT, 0600)));
	say("fortified: %s", closed(__open_2(PATH, O_RDWR)));
	say("fortified 64: %s", closed(__open64_2(PATH, O_RDWR)));
	say("fortified at: %s", closed(__openat_2(NO_FOLDER, PATH, O_RDWR)));
	say("creat: %s", closed(open(PATH, O_CREAT | O_WRONLY | O_TRUNC, 0600)));
	say("unlinkat: %s", outcome(unlinkat(NO_FOLDER, PATH, 0)));
	say("again: %s", outcome(unlinkat(AT_FDCWD, PATH, 0)));
}

static void ask_descriptor(void)
{
	struct stat status;
	int low = open("/dev/null", O_RDONLY);
	int fd;

	close(low);
	umask(027);
	errno = UNTOUCHED;
	fd = open(PATH, O_RDWR | O_CREAT | O_APPEND, 0666);
	umask(022);
	say("errno left: %d", errno == UNTOUCHED);
	say("lowest number: %d", fd == low);
	say("close on exec: %d", fcntl(fd, F_GETFD));
	/* A known difference: what a 32-bit program gets is a large file, though not asked for. */
	say("flags: %o", fcntl(fd, F_GETFL) & ~(sizeof(off_t) < 8 ? O_LARGEFILE : 0));
	must(fstat(fd, &status) == 0);
	say("mode %o size %ld", status.st_mode, (long)status.st_size);
	must(write(fd, "written", 7) == 7);
	close(fd);
	fd = open(PATH, O_RDONLY | O_CLOEXEC);
	say("close on exec: %d", fcntl(fd, F_GETFD));
	say("write: %s", outcome(write(fd, "x", 1)));
	say("size: %ld", (long)lseek(fd, 0, SEEK_END));
	close(fd);
}

static void ask_refusals(void)
{
	char path[400] = "/dev/shm/";
	size_t folder = strlen(path);

	say("exclusive: %s", closed(open(PATH, O_RDWR | O_CREAT | O_EXCL, 0600)));
	say("folder wanted: %s", closed(open(PATH, O_RDONLY | O_DIRECTORY)));
	must(unlink(PATH) == 0);
	say("missing: %s", closed(open(PATH, O_RDWR)));
	say("missing, truncating: %s", closed(open(PATH, O_RDWR | O_TRUNC)));
	say("of mode 0: %s", closed(open(PATH, O_RDWR | O_CREAT, 0)));
	say("again: %s", closed(open(PATH, O_RDONLY)));
	must(unlink(PATH) == 0);
	for (size_t length = 254; length <= 257; length++) {
		memset(path + folder, 'x', length);
		path[folder + length] = '\0';
		say("%zu bytes: %s", length, closed(open(path, O_RDWR | O_CREAT, 0600)));
		say("unlink: %s", outcome(unlink(path)));
	}
}

static void ask_semaphores(void)
{
	sem_t *sem = sem_open(NAME, O_CREAT | O_EXCL, 0600, 1);

	must(sem != SEM_FAILED);
	say("a semaphore's file: %s", closed(open("/dev/shm/sem.paths", O_RDWR)));
	say("unlink: %s", outcome(unlink("/dev/shm/sem.paths")));
	say("then it is gone: %s", outcome(sem_unlink(NAME)));
	sem_close(sem);
}

static void ask_room(void)
{
	struct statvfs room;
	struct statvfs64 room64;

	say("statvfs: %s", outcome(statvfs("/dev/shm", &room)));
	say("names up to %lu, blocks of %lu", room.f_namemax, room.f_bsize);
	must(room.f_bavail > 0 && room.f_bavail <= room.f_bfree && room.f_bfree <= room.f_blocks);
	must(!(room.f_flag & ST_RDONLY) && room.f_ffree > 0 && room.f_ffree <= room.f_files);
	say("with a slash: %s", outcome(statvfs("/dev/shm/", &room)));
	say("statvfs64: %s", outcome(statvfs64("/dev/shm", &room64)));
	say("of nothing: %s", outcome(statvfs(PATH, &room)));
	close(make_segment(NAME, 0, 0));
	say("of a file: %s", outcome(statvfs(PATH, &room)));
	must(shm_unlink(NAME) == 0);
	say("elsewhere: %s", outcome(statvfs("/proc", &room)));
}

static void *open_cancelled(void *ignored)
{
	(void)ignored;
	pthread_cancel(pthread_self());
	say("not reached: %d", open(PATH, O_RDWR | O_CREAT, 0600));
	return NULL;
}

/* Unlike shm_open, open is where a thread can be cancelled. */
static void ask_cancel(void)
{
	pthread_t thread;
	void *result = NULL;

	must(pthread_create(&thread, NULL, open_cancelled, NULL) == 0);
	must(pthread_join(thread, &result) == 0);
	say("cancelled: %d", result == PTHREAD_CANCELED);
	say("nothing made: %s", outcome(unlink(PATH)));
}

static void body(void)
{
	umask(022);
	ask_shapes();
	ask_calls();
	ask_descriptor();
	ask_refusals();
	ask_semaphores();
	ask_room();
	ask_cancel();
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
