/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Those who go on as another user. Each that does so as a whole process has a child of its own. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/lanes.h"

enum { OTHER = 12345 };

enum change { SETUID, SETEUID, SETREUID, SETRESUID, SETRESGID, SETEGID, SETGROUPS, CHANGES };

static const char *const change_names[] = {"setuid", "seteuid", "setreuid", "setresuid",
                                           "setresgid", "setegid", "setgroups"};

static int do_change(enum change change)
{
	const gid_t groups[] = {OTHER};

	switch (change) {
	case SETUID: return setuid(OTHER);
	case SETEUID: return seteuid(OTHER);
	case SETREUID: return setreuid(OTHER, OTHER);
	case SETRESUID: return setresuid(OTHER, OTHER, OTHER);
	case SETRESGID: return setresgid(OTHER, OTHER, OTHER);
	case SETEGID: return setegid(OTHER);
	default: return setgroups(1, groups);
	}
}

static void make_secret(char secret[static NAME_ROOM])
{
	name_of(secret, "secret", 0);
	close(make(secret));
}

/* What is root's, to who is another user by now. */
static void check_refused(const char *secret, const char *who)
{
	CHECK(shm_open(secret, O_RDWR, 0) < 0 && errno == EACCES, "root's open, %s", who);
	CHECK(shm_unlink(secret) < 0 && (errno == EACCES || errno == EPERM), "root's unlink, %s",
	      who);
}

static void change_ids(enum change change, const char *secret)
{
	bool is_user = change <= SETRESUID;

	get_lane();
	CHECK(do_change(change) == 0, "%s", change_names[change]);
	CHECK(!find_lane(), "a lane after %s", change_names[change]);
	/* Which checks the owner. */
	rounds("changed", MANY);
	if (!is_user)
		return;
	CHECK(!find_lane(), "a lane for another user, after %s", change_names[change]);
	check_refused(secret, change_names[change]);
}

void case_ids(char **arguments)
{
	char secret[NAME_ROOM];

	(void)arguments;
	make_secret(secret);
	for (int change = 0; change < CHANGES; change++) {
		pid_t pid = fork();

		if (pid == 0) {
			change_ids((enum change)change, secret);
			_exit(0);
		}
		wait_for(pid, change_names[change]);
	}
	CHECK(shm_unlink(secret) == 0, "secret");
}

/* One thread alone is another user, for the kernel. */
static void *as_other(void *secret)
{
	CHECK(syscall(SYS_setresgid, OTHER, OTHER, OTHER) == 0, "SYS_setresgid");
	CHECK(syscall(SYS_setresuid, OTHER, OTHER, OTHER) == 0, "SYS_setresuid");
	for (int i = 0; i < MANY; i++) {
		check_refused(secret, "by a thread");
		rounds("thread", 1);
	}
	return NULL;
}

void case_thread_ids(char **arguments)
{
	char secret[NAME_ROOM];
	pthread_t thread;

	(void)arguments;
	make_secret(secret);
	get_lane();
	CHECK(pthread_create(&thread, NULL, as_other, secret) == 0, "thread");
	pthread_join(thread, NULL);
	CHECK(find_lane(), "the lane is gone");
	rounds("after", MANY);
	CHECK(shm_unlink(secret) == 0, "secret");
}

/* The process is another user by a call that the library does not see: nothing is done for root. */
static void change_ids_unseen(const char *secret)
{
	const char *lane = get_lane();
	uint64_t before = last_serial(lane);

	CHECK(syscall(SYS_setresuid, OTHER, OTHER, OTHER) == 0, "SYS_setresuid");
	check_refused(secret, "unseen");
	rounds("raw", MANY);
	CHECK(last_serial(lane) == before, "root's lane is used");
}

void case_raw_ids(char **arguments)
{
	char secret[NAME_ROOM];
	pid_t pid;

	(void)arguments;
	make_secret(secret);
	pid = fork();
	if (pid == 0) {
		change_ids_unseen(secret);
		_exit(0);
	}
	wait_for(pid, "SYS_setresuid");
	CHECK(shm_unlink(secret) == 0, "secret");
}

/* As base/wire.h has it. */
struct request {
	uint32_t magic;
	uint16_t version, op;
	uint32_t flags, mode;
	uint64_t serial, cursor, ino;
	uint16_t name_length, initial_length;
	uint32_t reserved;
	char initial[64], name[256];
};

enum { UNLINK = 2, FREE = 0, ASKED = 1, ANSWERED = 3, REFUSED = 5, TRIES = 2000, LOOKS = 100 };

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* forged SECRET: a process that is another user by now, and writes to root's lane itself, while
 * others keep the worker looking. */
void case_forged(char **arguments)
{
	uintptr_t lane = (uintptr_t)get_lane();
	_Atomic uint32_t *state = (_Atomic uint32_t *)lane;
	/* What the library has left there. */
	struct request *request = (struct request *)(lane + REQUEST_AT);
	int served = 0;

	CHECK(syscall(SYS_setresuid, OTHER, OTHER, OTHER) == 0, "SYS_setresuid");
	for (int i = 0; i < TRIES && *state < REFUSED; i++) {
		request->op = UNLINK;
		request->flags = 0;
		request->initial_length = 0;
		request->serial = now();
		request->ino = 0;
		request->name_length = (uint16_t)strlen(arguments[0]);
		memset(request->name, 0, sizeof request->name);
		memcpy(request->name, arguments[0], request->name_length);
		*state = ASKED;
		for (int look = 0; look < LOOKS && *state < ANSWERED; look++)
			usleep(100);
		served += *state == ANSWERED;
		if (*state == ANSWERED)
			*state = FREE;
	}
	printf("served %d, %s\n", served, *state >= REFUSED ? "refused" : "not refused");
}
