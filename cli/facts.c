/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/facts.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/huge.h"
#include "base/own.h"
#include "cli/privilege.h"

enum { PAGE = 4096 };

struct fact fact_make(bool is_so, const char *format, ...)
{
	struct fact fact = {.is_so = is_so};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(fact.details, sizeof fact.details, format, arguments);
	va_end(arguments);
	return fact;
}

void fact_bytes(unsigned long long bytes, char ret_text[static 32])
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
	double number = (double)bytes;
	size_t unit = 0;

	for (; number >= 1024 && unit < sizeof units / sizeof units[0] - 1; unit++)
		number /= 1024;
	snprintf(ret_text, 32, "%.*f %s", unit > 0 && number < 100, number, units[unit]);
}

static struct fact find_kernel(void)
{
	struct utsname host;

	uname(&host);
	return fact_make(true, "%s %s, %s", host.sysname, host.release, host.machine);
}

static struct fact find_memory(void)
{
	struct sysinfo host = {.totalram = 0};
	char total[32];

	sysinfo(&host);
	fact_bytes((unsigned long long)host.totalram * host.mem_unit, total);
	return fact_make(true, "%s", total);
}

static struct fact find_dev_shm(void)
{
	OWN_FD folder = sys_openat(AT_FDCWD, "/dev/shm", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	struct statfs status;
	char total[32];
	char left[32];

	if (folder < 0)
		return fact_make(false, "%s", strerror(-folder));
	if (sys_call(SYS_fstatfs, folder, (long)&status, 0, 0, 0, 0) < 0)
		return fact_make(true, "its size is not known");
	fact_bytes((unsigned long long)status.f_blocks * (unsigned long long)status.f_bsize, total);
	fact_bytes((unsigned long long)status.f_bavail * (unsigned long long)status.f_bsize, left);
	return fact_make(true, "%s, of which %s are free", total, left);
}

/* As shm_open(3) does it, but for the name. */
static struct fact find_shm_open(void)
{
	OWN_FD file = sys_openat(AT_FDCWD, "/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	void *memory;

	if (file < 0)
		return fact_make(false, "no file can be made in /dev/shm: %s", strerror(-file));
	if (ftruncate(file, PAGE) < 0)
		return fact_make(false, "a file in /dev/shm can't be given a size: %s",
		                 strerror(errno));
	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (memory == MAP_FAILED)
		return fact_make(false, "a file in /dev/shm can't be mapped: %s", strerror(errno));
	munmap(memory, PAGE);
	return fact_make(true, "by the kernel's own /dev/shm");
}

static struct fact find_fuse(void)
{
	OWN_FD device = sys_openat(AT_FDCWD, "/dev/fuse", O_RDWR | O_CLOEXEC, 0);

	if (device == -EACCES)
		return fact_make(false, "it is there, but user %u may not use it", geteuid());
	if (device < 0)
		return fact_make(false, "%s", strerror(-device));
	return fact_make(true, "shmfs can be mounted, by root, in a user namespace, or by "
	                 "fusermount3");
}

/* A child's answer: 0 or an errno, and what it may add. */
struct trial {
	int error;
	bool huge;
	bool borrowed; /* from a user namespace */
};

static struct trial try_in_child(void (*attempt)(struct trial *trial))
{
	struct trial trial = {.error = EIO};
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return trial;
	child = fork();
	if (child == 0) {
		attempt(&trial);
		_exit(sys_write(ends[1], &trial, sizeof trial) != sizeof trial);
	}
	close(ends[1]);
	if (child < 0 || sys_read(ends[0], &trial, sizeof trial) != sizeof trial)
		trial.error = child < 0 ? errno : EIO;
	close(ends[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
	return trial;
}

static void enter_user_namespace(struct trial *trial)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	trial->error = unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ? errno
	                                                        : -privilege_keep_ids(uid, gid);
}

static struct fact find_user_namespaces(void)
{
	struct trial trial = try_in_child(enter_user_namespace);

	if (trial.error)
		return fact_make(false, "%s: see sysctl user.max_user_namespaces, "
		                 "kernel.unprivileged_userns_clone, "
		                 "kernel.apparmor_restrict_unprivileged_userns",
		                 strerror(trial.error));
	return fact_make(true, "a user may have mounts of its own");
}

/* glibc has these calls from 2.36 only. Returns 1 if large files then have huge pages, 0 or -errno.
 */
static int mount_tmpfs(bool huge)
{
	enum { SET_STRING = 1, CREATE = 6 };
	OWN_FD context = (int)sys_call(SYS_fsopen, (long)"tmpfs", 1, 0, 0, 0, 0);
	OWN_FD mount = -1;
	OWN_FD file = -1;
	long result;

	if (context < 0)
		return context;
	if (huge) {
		result = sys_call(SYS_fsconfig, context, SET_STRING, (long)"huge",
		                  (long)"within_size", 0, 0);
		if (result < 0)
			return (int)result;
	}
	result = sys_call(SYS_fsconfig, context, CREATE, 0, 0, 0, 0);
	if (result < 0)
		return (int)result;
	mount = (int)sys_call(SYS_fsmount, context, 1, 0, 0, 0, 0);
	if (mount < 0 || !huge)
		return mount < 0 ? mount : 0;
	file = sys_openat(mount, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return file < 0 ? file : huge_is_given(file);
}

static void try_tmpfs(struct trial *trial)
{
	trial->error = -mount_tmpfs(false);
	if (trial->error == EPERM) {
		trial->borrowed = true;
		enter_user_namespace(trial);
		if (trial->error == 0)
			trial->error = -mount_tmpfs(false);
	}
	trial->huge = trial->error == 0 && mount_tmpfs(true) > 0;
}

static struct fact find_tmpfs(void)
{
	struct trial trial = try_in_child(try_tmpfs);

	if (trial.error)
		return fact_make(false, "%s: memory then comes from memfd_create, and --size can't "
		                 "be had", strerror(trial.error));
	return fact_make(true, "%s huge pages%s", trial.huge ? "with" : "without",
	                 trial.borrowed ? ", by way of a user namespace" : "");
}

bool fact_setting(char *word, size_t size)
{
	OWN_FD file = sys_openat(AT_FDCWD, SHMEM_ENABLED, O_RDONLY | O_CLOEXEC, 0);
	char text[128];
	ssize_t length = file < 0 ? 0 : sys_read(file, text, sizeof text - 1);
	char *begin, *end;

	text[length > 0 ? length : 0] = '\0';
	begin = strchr(text, '[');
	end = begin ? strchr(begin, ']') : NULL;
	if (!end)
		return false;
	snprintf(word, size, "%.*s", (int)(end - begin - 1), begin + 1);
	return true;
}

/* A memfd has them or not by the system's setting alone. */
static struct fact find_huge_pages(void)
{
	struct trial trial = try_in_child(try_tmpfs);
	OWN_FD memory = (int)sys_call(SYS_memfd_create, (long)"", 1, 0, 0, 0, 0);
	bool in_memfd = memory >= 0 && huge_is_given(memory) > 0;
	char word[32];

	if (!fact_setting(word, sizeof word))
		return fact_make(false, "this kernel has none for shared memory");
	return fact_make(trial.huge || in_memfd, "in a private tmpfs %s, from memfd_create %s: "
	                 SHMEM_ENABLED " says %s", trial.huge ? "yes" : "no",
	                 in_memfd ? "yes" : "no", word);
}

const struct fact_question fact_questions[] = {
	{"kernel", find_kernel},
	{"memory", find_memory},
	{"/dev/shm", find_dev_shm},
	{"shm_open", find_shm_open},
	{"/dev/fuse", find_fuse},
	{"user namespaces", find_user_namespaces},
	{"private tmpfs", find_tmpfs},
	{"huge pages", find_huge_pages},
};

const size_t fact_question_count = sizeof fact_questions / sizeof fact_questions[0];
