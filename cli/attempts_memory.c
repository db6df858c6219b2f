/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/attempts.h"
#include "cli/trial.h"

enum { PAGE = 4096 };

/* A file of a page of the letter 'a', on a disk if `on_disk` and that can be. */
static int make_file(bool on_disk)
{
	const char *folder = getenv("TMPDIR");
	char page[PAGE];
	char path[4096];
	OWN_FD file = -1;

	/* It may be what ends a process. */
	if (!on_disk && trial_run(try_memfd_create) == 0)
		file = memfd_create("shmemu-doctor", MFD_CLOEXEC);
	if (file < 0) {
		snprintf(path, sizeof path, "%s/shmemu-doctor-XXXXXX", folder ? folder : "/tmp");
		file = mkostemp(path, O_CLOEXEC);
		if (file >= 0)
			unlink(path);
	}
	if (file < 0 && on_disk)
		return make_file(false);
	memset(page, 'a', sizeof page);
	if (file < 0 || pwrite(file, page, sizeof page, 0) != sizeof page)
		return -errno;
	return fd_steal(&file);
}

static void *map_memory(int flags)
{
	void *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int try_file(int fd, int flags)
{
	char *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
	bool is_shared = flags == MAP_SHARED;
	bool is_right;
	char byte = '\0';

	if (memory == MAP_FAILED)
		return errno;
	is_right = memory[PAGE - 1] == 'a';
	memory[0] = 'b';
	is_right = is_right && pread(fd, &byte, 1, 0) == 1 && byte == (is_shared ? 'b' : 'a');
	munmap(memory, PAGE);
	return is_right ? 0 : EREMCHG;
}

int try_mmap_shared(void)
{
	OWN_FD file = make_file(true);

	return file < 0 ? -file : try_file(file, MAP_SHARED);
}

int try_mmap_private(void)
{
	OWN_FD file = make_file(true);

	return file < 0 ? -file : try_file(file, MAP_PRIVATE);
}

int try_mmap_anonymous(void)
{
	volatile char *memory = map_memory(MAP_SHARED);
	bool is_right;
	pid_t child;

	if (!memory)
		return errno;
	child = fork();
	if (child == 0) {
		memory[0] = 'c';
		_exit(0);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
	is_right = child < 0 || memory[0] == 'c';
	munmap((void *)(uintptr_t)memory, PAGE);
	return is_right ? 0 : EREMCHG;
}

/* Does something to a page of private memory, which it may move or take away (NULL). */
static int try_on_memory(int (*act)(void **memory))
{
	void *memory = map_memory(MAP_PRIVATE);
	int error;

	if (!memory)
		return ENOTRECOVERABLE;
	error = act(&memory);
	if (memory)
		munmap(memory, PAGE);
	return error;
}

static int act_msync(void **memory)
{
	return msync(*memory, PAGE, MS_SYNC) < 0 ? errno : 0;
}

static int act_mremap(void **memory)
{
	void *moved = mremap(*memory, PAGE, 2 * PAGE, MREMAP_MAYMOVE);

	if (moved == MAP_FAILED)
		return errno;
	munmap((char *)moved + PAGE, PAGE);
	*memory = moved;
	return 0;
}

static int act_madvise(void **memory)
{
	return madvise(*memory, PAGE, MADV_DONTNEED) < 0 ? errno : 0;
}

/* The kernel does not write there any more either. */
static int act_mprotect(void **memory)
{
	if (mprotect(*memory, PAGE, PROT_READ) < 0)
		return errno;
	return getrandom(*memory, 1, 0) < 0 && errno == EFAULT ? 0 : EREMCHG;
}

static int act_munmap(void **memory)
{
	void *taken = *memory;

	*memory = NULL;
	return munmap(taken, PAGE) < 0 ? errno : 0;
}

int try_msync(void)
{
	return try_on_memory(act_msync);
}

int try_mremap(void)
{
	return try_on_memory(act_mremap);
}

int try_madvise(void)
{
	return try_on_memory(act_madvise);
}

int try_mprotect(void)
{
	return try_on_memory(act_mprotect);
}

int try_munmap(void)
{
	return try_on_memory(act_munmap);
}

int try_ftruncate(void)
{
	OWN_FD file = make_file(false);

	return file < 0 ? -file : ftruncate(file, 2L * PAGE) < 0 ? errno : 0;
}

int try_fallocate(void)
{
	OWN_FD file = make_file(false);

	return file < 0 ? -file : fallocate(file, 0, 0, 2L * PAGE) < 0 ? errno : 0;
}

int try_memfd_create(void)
{
	OWN_FD file = memfd_create("shmemu-doctor", MFD_CLOEXEC);

	return file < 0 ? errno : 0;
}

int try_locks(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	OWN_FD file = make_file(false);

	return file < 0 ? -file : fcntl(file, F_OFD_SETLK, &lock) < 0 ? errno : 0;
}

int try_inotify(void)
{
	OWN_FD watch = inotify_init1(IN_CLOEXEC);

	return watch < 0 ? errno : 0;
}

int try_mmap_memfd(void)
{
	OWN_FD file = make_file(false);

	return file < 0 ? -file : try_file(file, MAP_SHARED);
}

/* Whether a mapping is one of the file's own pages: "START-END rw-s ...". */
static int is_native(const void *memory)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char *line = NULL;
	size_t size = 0;
	int error = maps ? EREMCHG : ENOTRECOVERABLE;

	while (maps && getline(&line, &size, maps) > 0) {
		unsigned long start, end;
		char rights[5];

		if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) == 3 &&
		    start <= (uintptr_t)memory && (uintptr_t)memory < end && rights[3] == 's')
			error = 0;
	}
	free(line);
	if (maps)
		fclose(maps);
	return error;
}

/* Of memory that has other addresses, or none, elsewhere only what is the same pages is the same
 * to the processor and to futexes. Segments are as memfds are. */
int try_atomics(void)
{
	OWN_FD file = make_file(false);
	void *memory;

	if (file < 0)
		return -file;
	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	return memory == MAP_FAILED ? errno : is_native(memory);
}
