/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program that begins as root and becomes another: its rights follow the effective ids at
 * once, and the names that it sees stay the same. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/probes/helper.h"
#include "tests/probes/probe.h"

#define PRIVATE "/root-private"
#define GROUPED "/root-group"
#define OPEN_TO_ALL "/root-open"
#define OWN "/own"

enum { GROUP = 2001 };

static const char *sem_outcome(sem_t *sem)
{
	if (sem == SEM_FAILED)
		return outcome(-1);
	sem_close(sem);
	return "ok";
}

static void ask_all(const char *who)
{
	struct stat status = {.st_uid = 4242, .st_gid = 4242};
	int fd;

	say("%s: private %s", who, try_open(PRIVATE, O_RDWR, 0));
	say("%s: the group's %s", who, try_open(GROUPED, O_RDWR, 0));
	say("%s: open to all %s", who, try_open(OPEN_TO_ALL, O_RDWR, 0));
	say("%s: semaphore %s", who, sem_outcome(sem_open(PRIVATE, 0)));
	say("%s: unlink %s", who, outcome(shm_unlink(PRIVATE)));
	say("%s: unlink semaphore %s", who, outcome(sem_unlink(PRIVATE)));
	fd = shm_open(OWN, O_RDWR | O_CREAT | O_EXCL, 0600);
	must(fd >= 0 && fstat(fd, &status) == 0);
	say("%s: own %u %u", who, status.st_uid, status.st_gid);
	close(fd);
	say("%s: own again %s", who, try_open(OWN, O_RDWR, 0));
	say("%s: own semaphore %s", who, sem_outcome(sem_open(OWN, O_CREAT | O_EXCL, 0600, 1)));
	say("%s: unlink own %s", who, outcome(shm_unlink(OWN)));
	say("%s: unlink own semaphore %s", who, outcome(sem_unlink(OWN)));
}

static void lay_out(void)
{
	sem_t *sem;

	umask(0);
	close(make_segment(PRIVATE, 0600, 0));
	close(make_segment(OPEN_TO_ALL, 0666, 0));
	int fd = make_segment(GROUPED, 0660, 0);
	must(fchown(fd, 0, GROUP) == 0);
	close(fd);
	sem_unlink(PRIVATE);
	sem = sem_open(PRIVATE, O_CREAT | O_EXCL, 0600, 1);
	must(sem != SEM_FAILED && sem_close(sem) == 0);
}

static void clear_up(void)
{
	shm_unlink(PRIVATE);
	shm_unlink(OPEN_TO_ALL);
	shm_unlink(GROUPED);
	sem_unlink(PRIVATE);
}

static void become(uid_t uid, gid_t gid, const gid_t *groups, size_t count)
{
	must(setgroups(count, groups) == 0);
	must(setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0);
}

static void as_nobody(void *ignored)
{
	(void)ignored;
	lay_out();
	become(NOBODY, NOBODY, NULL, 0);
	ask_all("nobody");
}

/* Asked for on its own: a daemon that root's first call started is not found by a program that
 * another user starts. */
static void and_exec(void *ignored)
{
	int fd;

	(void)ignored;
	lay_out();
	fd = shm_open(OPEN_TO_ALL, O_RDWR, 0);
	must(write(fd, HELPER_TEXT, sizeof HELPER_TEXT) == sizeof HELPER_TEXT);
	become(NOBODY, NOBODY, NULL, 0);
	say("open to all, after exec: %d", helper_exec(HELPER_OPEN, 0, OPEN_TO_ALL));
	say("private, after exec: %d", helper_exec(HELPER_OPEN, 0, PRIVATE));
}

static void in_effect(void *ignored)
{
	(void)ignored;
	lay_out();
	must(setegid(NOBODY) == 0 && seteuid(NOBODY) == 0);
	ask_all("in effect nobody");
	must(seteuid(0) == 0 && setegid(0) == 0);
	ask_all("root again");
}

static void of_the_group(void *ignored)
{
	gid_t groups[] = {5, GROUP, 7};

	(void)ignored;
	lay_out();
	become(NOBODY, NOBODY, groups, 3);
	ask_all("of the group");
}

static void of_the_group_first(void *ignored)
{
	(void)ignored;
	lay_out();
	become(NOBODY, GROUP, NULL, 0);
	ask_all("in the group at first hand");
}

/* Was of the group, and is no more. */
static void out_of_the_group(void *ignored)
{
	gid_t groups[] = {GROUP};

	(void)ignored;
	lay_out();
	must(setgroups(1, groups) == 0 && seteuid(NOBODY) == 0);
	say("in the group: %s", try_open(GROUPED, O_RDWR, 0));
	must(seteuid(0) == 0);
	become(NOBODY, NOBODY, NULL, 0);
	say("no more: %s", try_open(GROUPED, O_RDWR, 0));
}

static void ask_as_child(void *who)
{
	ask_all(who);
}

static void drop_in_child(void *ignored)
{
	(void)ignored;
	become(NOBODY, NOBODY, NULL, 0);
	ask_all("child that became nobody");
}

static void with_children(void *ignored)
{
	(void)ignored;
	lay_out();
	must(in_child(drop_in_child, NULL) == 0);
	say("root sees it all: %s", try_open(PRIVATE, O_RDWR, 0));
	become(NOBODY, NOBODY, NULL, 0);
	must(in_child(ask_as_child, (char[]){"nobody's child"}) == 0);
}

static void *in_thread(void *ignored)
{
	(void)ignored;
	/* The kernel's call is for this thread alone; glibc's is for all. */
	must(syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY) == 0);
	must(syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY) == 0);
	ask_all("thread");
	return NULL;
}

static void one_thread(void *ignored)
{
	pthread_t thread;

	(void)ignored;
	lay_out();
	must(setgroups(0, NULL) == 0);
	must(pthread_create(&thread, NULL, in_thread, NULL) == 0);
	must(pthread_join(thread, NULL) == 0);
	say("the others: %s", try_open(PRIVATE, O_RDWR, 0));
}

/* Root without the capabilities that make it root. */
static void without_capabilities(void *ignored)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	unsigned file_rights = 1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH |
	                       1U << CAP_FOWNER;

	(void)ignored;
	lay_out();
	if (seteuid(NOBODY) == 0)
		close(make_segment("/nobodys", 0600, 0));
	must(seteuid(0) == 0);
	say("root: nobody's %s", try_open("/nobodys", O_RDWR, 0));
	must(syscall(SYS_capget, &header, data) == 0);
	data[0].effective &= ~file_rights;
	must(syscall(SYS_capset, &header, data) == 0);
	say("mere uid 0: nobody's %s", try_open("/nobodys", O_RDWR, 0));
	say("mere uid 0: unlink %s", outcome(shm_unlink("/nobodys")));
	say("mere uid 0: own %s", try_open(PRIVATE, O_RDWR, 0));
	data[0].effective |= file_rights;
	must(syscall(SYS_capset, &header, data) == 0);
	shm_unlink("/nobodys");
}

static void ask_of_all(void)
{
	static void (*const questions[])(void *) = {
		as_nobody, in_effect, of_the_group, of_the_group_first, out_of_the_group,
		with_children, one_thread, without_capabilities,
	};

	for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++)
		must(in_child(questions[i], NULL) == 0);
	clear_up();
}

static void body(void)
{
	if (geteuid() != 0)
		skip("only root can become another user");
	if (setgroups(0, NULL) < 0 || prctl(PR_CAPBSET_READ, CAP_DAC_OVERRIDE) != 1)
		skip("this root lacks the capabilities");
	if (strcmp(probe_argument(1), "exec") == 0) {
		must(in_child(and_exec, NULL) == 0);
		clear_up();
		return;
	}
	ask_of_all();
	/* The same, by a process that had asked already. */
	say("parent: %s", try_open(PRIVATE, O_RDWR, 0));
	ask_of_all();
}

int main(int argc, char **argv)
{
	if (helper_is_meant(argc, argv))
		return helper_main(argc, argv);
	return probe_run(argc, argv, body);
}
