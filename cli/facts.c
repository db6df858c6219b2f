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
#include "cli/attempts.h"
#include "cli/facts_i.h"
#include "cli/privilege.h"
#include "cli/trial.h"

enum { PAGE = 4096 };

__attribute__((format(printf, 2, 0)))
static struct fact make(int host, const char *format, va_list arguments)
{
	struct fact fact = {.host = host, .library = FACT_TOLD};

	vsnprintf(fact.details, sizeof fact.details, format, arguments);
	return fact;
}

struct fact fact_result(int host, const char *format, ...)
{
	struct fact fact;
	va_list arguments;

	va_start(arguments, format);
	fact = make(host, format, arguments);
	va_end(arguments);
	return fact;
}

struct fact fact_make(bool is_so, const char *format, ...)
{
	struct fact fact;
	va_list arguments;

	va_start(arguments, format);
	fact = make(is_so ? 0 : FACT_NO, format, arguments);
	va_end(arguments);
	return fact;
}

struct fact fact_told(const char *format, ...)
{
	struct fact fact;
	va_list arguments;

	va_start(arguments, format);
	fact = make(FACT_TOLD, format, arguments);
	va_end(arguments);
	return fact;
}

const char *fact_name(int result)
{
	switch (result) {
	case FACT_TOLD: return NULL;
	case FACT_NO: return "no";
	default: return trial_name(result);
	}
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
	return fact_told("%s %s, %s", host.sysname, host.release, host.machine);
}

static struct fact find_memory(void)
{
	struct sysinfo host = {.totalram = 0};
	char total[32];

	sysinfo(&host);
	fact_bytes((unsigned long long)host.totalram * host.mem_unit, total);
	return fact_told("%s", total);
}

static struct fact find_dev_shm(void)
{
	OWN_FD folder = sys_openat(AT_FDCWD, "/dev/shm", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	struct statfs status;
	char total[32];
	char left[32];

	if (folder < 0)
		return fact_result(-folder, "%s", strerror(-folder));
	if (sys_call(SYS_fstatfs, folder, (long)&status, 0, 0, 0, 0) < 0)
		return fact_make(true, "its size is not known");
	fact_bytes((unsigned long long)status.f_blocks * (unsigned long long)status.f_bsize, total);
	fact_bytes((unsigned long long)status.f_bavail * (unsigned long long)status.f_bsize, left);
	return fact_make(true, "%s, of which %s are free", total, left);
}

static struct fact find_proc(void)
{
	OWN_FD folder = sys_openat(AT_FDCWD, "/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);

	if (folder < 0)
		return fact_result(-folder, "%s: descriptors and holders are found there",
		                   strerror(-folder));
	return fact_make(true, "mounted");
}

/* The number in a line of /proc/self/status, or 0. */
static int status_number(const char *text, const char *word)
{
	const char *line = strstr(text, word);

	return line ? atoi(line + strlen(word)) : 0;
}

static struct fact find_rights(void)
{
	OWN_FD file = sys_openat(AT_FDCWD, "/proc/self/status", O_RDONLY | O_CLOEXEC, 0);
	struct privilege privilege = privilege_now();
	char text[4096];
	ssize_t length = file < 0 ? 0 : sys_read(file, text, sizeof text - 1);

	text[length > 0 ? length : 0] = '\0';
	return fact_told("user %u, %s CAP_SYS_ADMIN%s%s", geteuid(),
	                 privilege_has(&privilege, CAP_SYS_ADMIN) ? "with" : "without",
	                 status_number(text, "\nSeccomp:") == 2 ?
	                         "; a seccomp filter says which calls there are" : "",
	                 status_number(text, "\nNoNewPrivs:") ?
	                         "; setuid programs change nothing (no_new_privs)" : "");
}

/* What a child says, of `size` bytes. Returns 0, or below it the signal that ended the child before
 * it said so, or an errno. */
static int hear(void (*speak)(void *context, void *said), void *context, void *ret_said,
                size_t size)
{
	int status = 0;
	int ends[2];
	ssize_t length;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return errno;
	child = fork();
	if (child == 0) {
		speak(context, ret_said);
		_exit(sys_write(ends[1], ret_said, size) != (ssize_t)size);
	}
	close(ends[1]);
	length = child < 0 ? -1 : sys_read(ends[0], ret_said, size);
	close(ends[0]);
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return errno;
	if (WIFSIGNALED(status))
		return -WTERMSIG(status);
	return length == (ssize_t)size ? 0 : EIO;
}

static void speak_answer(void *context, void *said)
{
	void (**attempt)(struct answer *answer) = context;

	(*attempt)(said);
}

struct answer fact_try(void (*attempt)(struct answer *answer))
{
	struct answer answer = {.error = 0};
	int result = hear(speak_answer, &attempt, &answer, sizeof answer);

	return result ? (struct answer){.error = result} : answer;
}

static void speak_fact(void *context, void *said)
{
	struct fact (**find)(void) = context;

	*(struct fact *)said = (*find)();
}

struct fact fact_find(const struct fact_question *question)
{
	struct fact (*find)(void) = question->find;
	struct fact fact;
	int result = hear(speak_fact, &find, &fact, sizeof fact);

	return result ? fact_result(result, "%s", trial_words(result)) : fact;
}

void fact_enter_user_namespace(struct answer *answer)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	answer->error = unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ? errno
	                                                        : -privilege_keep_ids(uid, gid);
}

static struct fact find_user_namespaces(void)
{
	struct answer answer = fact_try(fact_enter_user_namespace);

	if (answer.error)
		return fact_result(answer.error, "%s: see sysctl user.max_user_namespaces, "
		                 "kernel.unprivileged_userns_clone, "
		                 "kernel.apparmor_restrict_unprivileged_userns",
		                 trial_words(answer.error));
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

static void try_tmpfs(struct answer *answer)
{
	answer->error = -mount_tmpfs(false);
	if (answer->error == EPERM) {
		answer->borrowed = true;
		fact_enter_user_namespace(answer);
		if (answer->error == 0)
			answer->error = -mount_tmpfs(false);
	}
	answer->huge = answer->error == 0 && mount_tmpfs(true) > 0;
}

static struct fact find_tmpfs(void)
{
	struct answer answer = fact_try(try_tmpfs);

	if (answer.error)
		return fact_result(answer.error, "%s: memory then comes from memfd_create, and "
		                   "--size can't be had", trial_words(answer.error));
	return fact_make(true, "%s huge pages%s", answer.huge ? "with" : "without",
	                 answer.borrowed ? ", by way of a user namespace" : "");
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
	struct answer answer = fact_try(try_tmpfs);
	OWN_FD memory = trial_run(try_memfd_create) ? -1 : memfd_create("", MFD_CLOEXEC);
	bool in_memfd = memory >= 0 && huge_is_given(memory) > 0;
	char word[32];

	if (!fact_setting(word, sizeof word))
		return fact_make(false, "this kernel has none for shared memory");
	return fact_make(answer.huge || in_memfd, "in a private tmpfs %s, from memfd_create %s: "
	                 SHMEM_ENABLED " says %s%s", answer.huge ? "yes" : "no",
	                 in_memfd ? "yes" : "no", word,
	                 answer.huge ? "" : "; \"within_size\" there turns them on");
}

const struct fact_question fact_questions[] = {
	{"kernel", find_kernel},
	{"memory", find_memory},
	{"/dev/shm", find_dev_shm},
	{"/proc", find_proc},
	{"rights", find_rights},
	{"user namespaces", find_user_namespaces},
	{"private tmpfs", find_tmpfs},
	{"huge pages", find_huge_pages},
};

const size_t fact_question_count = sizeof fact_questions / sizeof fact_questions[0];
