/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"

enum { PAGE = 4096 };

/* A file of a page of the letter 'a', on a disk if `on_disk` and that can be. */
static int make_file(bool on_disk)
{
	const char *folder = getenv("TMPDIR");
	char page[PAGE];
	char path[4096];
	OWN_FD file = -1;

	if (!on_disk)
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

/* What is tried: each returns 0 or an errno, and two that stand for something else: EREMCHG, the
 * call succeeds, but does not do what it is for; ENOTRECOVERABLE, it can't be tried. */

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

static int try_mmap_shared(void)
{
	OWN_FD file = make_file(true);

	return file < 0 ? -file : try_file(file, MAP_SHARED);
}

static int try_mmap_private(void)
{
	OWN_FD file = make_file(true);

	return file < 0 ? -file : try_file(file, MAP_PRIVATE);
}

static int try_mmap_anonymous(void)
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

static int act_mprotect(void **memory)
{
	return mprotect(*memory, PAGE, PROT_READ) < 0 ? errno : 0;
}

static int act_munmap(void **memory)
{
	void *taken = *memory;

	*memory = NULL;
	return munmap(taken, PAGE) < 0 ? errno : 0;
}

static int try_msync(void)
{
	return try_on_memory(act_msync);
}

static int try_mremap(void)
{
	return try_on_memory(act_mremap);
}

static int try_madvise(void)
{
	return try_on_memory(act_madvise);
}

static int try_mprotect(void)
{
	return try_on_memory(act_mprotect);
}

static int try_munmap(void)
{
	return try_on_memory(act_munmap);
}

static int try_ftruncate(void)
{
	OWN_FD file = make_file(false);

	return file < 0 ? -file : ftruncate(file, 2L * PAGE) < 0 ? errno : 0;
}

static int try_fallocate(void)
{
	OWN_FD file = make_file(false);

	return file < 0 ? -file : fallocate(file, 0, 0, 2L * PAGE) < 0 ? errno : 0;
}

static int try_memfd_create(void)
{
	OWN_FD file = memfd_create("shmemu-doctor", MFD_CLOEXEC);

	return file < 0 ? errno : 0;
}

static int try_locks(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	OWN_FD file = make_file(false);

	return file < 0 ? -file : fcntl(file, F_OFD_SETLK, &lock) < 0 ? errno : 0;
}

static int try_inotify(void)
{
	OWN_FD watch = inotify_init1(IN_CLOEXEC);

	return watch < 0 ? errno : 0;
}

static const struct call {
	const char *name;
	int (*attempt)(void);
	const char *instead; /* what is done where the host has not got it */
	bool is_mapping;     /* it depends on SHMEMU_MMAP */
} calls[] = {
	{"shared mmap of files", try_mmap_shared,
	 "emulated: private memory that is compared with the file and exchanged with it when "
	 "processes talk, and every few milliseconds", true},
	{"private mmap of files", try_mmap_private,
	 "emulated: private memory that is filled from the file", true},
	{"shared anonymous mmap", try_mmap_anonymous,
	 "emulated: by a file without a name, as shared mappings of files are", true},
	{"msync", try_msync, "supplied, for emulated mappings; others need none but for a disk",
	 false},
	{"mremap", try_mremap, "supplied: by new memory and a copy", false},
	{"madvise", try_madvise,
	 "supplied: hints are passed over, DONTNEED, FREE and REMOVE have their effect", false},
	{"mprotect", try_mprotect, "not to be had: memory stays as it was mapped", false},
	{"munmap", try_munmap, "supplied: mappings end, but their addresses are not free again",
	 false},
	{"ftruncate", try_ftruncate, "supplied: by truncate on the file's path in /proc", false},
	{"fallocate", try_fallocate,
	 "supplied: by touching pages and by writing zeros; no room beyond the end, no ranges "
	 "that move", false},
	{"memfd_create", try_memfd_create,
	 "supplied: by a file of the store, without seals and huge pages", false},
	{"OFD locks", try_locks,
	 "not to be had, and so no locks that processes share in emulated mappings", false},
	{"inotify", try_inotify, "not to be had", false},
};

const size_t call_count = sizeof calls / sizeof calls[0];

const char *call_name(size_t call)
{
	return calls[call].name;
}

static bool setting_is(const char *word)
{
	const char *setting = getenv("SHMEMU_MMAP");

	return setting && strcmp(setting, word) == 0;
}

/* Segments are as memfds are. */
static bool maps_segments(void)
{
	OWN_FD file = memfd_create("shmemu-doctor", MFD_CLOEXEC);
	char byte = 'a';

	return file >= 0 && pwrite(file, &byte, 1, PAGE - 1) == 1 &&
	       try_file(file, MAP_SHARED) == 0;
}

struct fact call_find(size_t call)
{
	const struct call *tried = &calls[call];
	int error = tried->attempt();
	const char *why = error == EREMCHG ? "it does not do what it is for" : strerror(error);

	if (error == ENOTRECOVERABLE)
		return fact_make(false, "there is no memory to try it on");
	if (tried->attempt == try_mmap_shared && error && maps_segments())
		return fact_make(false, "%s; segments are mapped by the host, other files are %s",
		                 why, tried->instead);
	if (tried->is_mapping && setting_is("native") && error)
		return fact_make(false, "%s; not to be had: SHMEMU_MMAP=native", why);
	if (tried->is_mapping && setting_is("emulate") && !error)
		return fact_make(true, "%s all the same: SHMEMU_MMAP=emulate", tried->instead);
	return error ? fact_make(false, "%s; %s", why, tried->instead)
	             : fact_make(true, "by the host");
}

struct fact call_find_setting(void)
{
	const char *setting = getenv("SHMEMU_MMAP");

	if (setting && *setting && !setting_is("auto") && !setting_is("native") &&
	    !setting_is("emulate"))
		return fact_make(false, "%.100s: it is auto, native or emulate, and auto is what "
		                 "it is taken for", setting);
	if (setting_is("native"))
		return fact_make(true, "native: mappings are the host's, or an error");
	if (setting_is("emulate"))
		return fact_make(true, "emulate: mappings of files, and shared ones, are emulated "
		                 "even where the host has them");
	return fact_make(true, "auto: mappings are the host's where it has them, else emulated");
}

struct fact call_find_atomics(void)
{
	int error = try_mmap_shared();

	if (!setting_is("emulate") && !error)
		return fact_make(true, "by the host, in all that processes share");
	if (setting_is("native"))
		return fact_make(false, "not to be had: there is no shared memory");
	return fact_make(false, "not to be had between processes in emulated mappings; pthread's "
	                 "locks and semaphores are served, a program's own are not");
}
