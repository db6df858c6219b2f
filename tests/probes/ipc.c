/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define FAMILY "ipc"
#include "tests/probes/ipc.h"

#include <errno.h>
#include <grp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <unistd.h>

/* It has not run for so many looks, a few milliseconds apart. */
enum { LOOKS = 8, LOOK_MS = 5, NAP_LOOKS = 3, NAP_LOOK_MS = 1 };

volatile sig_atomic_t ipc_handled;

static void run_group(void *argument)
{
	const struct ipc_group *group = argument;

	group->body();
}

void ipc_run(const struct ipc_group *groups)
{
	for (const struct ipc_group *group = groups; group->name; group++) {
		int status;

		if (probe_argument(1)[0] && strcmp(probe_argument(1), group->name) != 0)
			continue;
		status = in_child(run_group, (void *)(uintptr_t)group);
		if (status != EXIT_SUCCESS)
			say("%s ended with %d", group->name, status);
	}
}

const char *ipc_value(long result)
{
	static char texts[8][24];
	static unsigned next;
	char *text = texts[next++ % 8];

	if (result < 0)
		return outcome(result);
	snprintf(text, sizeof texts[0], "%ld", result);
	return text;
}

const char *ipc_end_of(pid_t pid)
{
	int status = await_child(pid);

	if (status == 0)
		return "ok";
	return status < PROBE_SIGNAL ? strerrorname_np(status) : ipc_value(status);
}

pid_t ipc_beside(void (*body)(void *), void *argument)
{
	pid_t pid = fork();

	if (pid == 0) {
		body(argument);
		_exit(EXIT_SUCCESS);
	}
	must(pid > 0);
	return pid;
}

void ipc_nudge(int fd)
{
	must(write(fd, "x", 1) == 1);
}

void ipc_hear(int fd)
{
	char byte;

	must(read(fd, &byte, 1) == 1);
}

void ipc_pause(long milliseconds)
{
	struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};

	while (nanosleep(&time, &time) != 0)
		;
}

enum { AWAKE = -1, GONE = -2 };

/* How often it has given the processor up, if it is asleep. */
static long switches_asleep(pid_t pid)
{
	char path[48], line[128], state = '?';
	long count = AWAKE;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file)) {
		sscanf(line, "State: %c", &state);
		sscanf(line, "voluntary_ctxt_switches: %ld", &count);
	}
	if (!file || state == 'Z')
		count = GONE;
	else if (state != 'S')
		count = AWAKE;
	if (file)
		fclose(file);
	return count;
}

/* Who waits for the next worker sleeps as well; it is told no later than we are. */
static void await_worker(void)
{
	struct seminfo info;

	must(semctl(0, 0, SEM_INFO, &info) >= 0);
}

static void await_looks(pid_t pid, int most, long pause)
{
	bool is_killed = getenv("WORKER_IS_KILLED");
	long before = AWAKE;

	for (int looks = 0; looks < most;) {
		long now = switches_asleep(pid);

		/* What it waited for may be over. */
		if (now == GONE)
			return;
		looks = now >= 0 && now == before ? looks + 1 : 0;
		before = now;
		ipc_pause(pause);
		if (is_killed)
			await_worker();
	}
}

void ipc_await_asleep(pid_t pid)
{
	await_looks(pid, LOOKS, LOOK_MS);
}

void ipc_await_nap(pid_t pid)
{
	await_looks(pid, NAP_LOOKS, NAP_LOOK_MS);
}

void ipc_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	must(await_child(pid) == PROBE_SIGNAL + SIGKILL);
}

static void count(int number)
{
	(void)number;
	ipc_handled++;
}

void ipc_handle(int number, int flags)
{
	struct sigaction action = {.sa_handler = count, .sa_flags = flags};

	ipc_handled = 0;
	must(sigaction(number, &action, NULL) == 0);
}

struct timespec ipc_in(clockid_t clock, long milliseconds)
{
	struct timespec time;

	clock_gettime(clock, &time);
	time.tv_nsec += milliseconds % 1000 * 1000000;
	time.tv_sec += milliseconds / 1000 + time.tv_nsec / 1000000000;
	time.tv_nsec %= 1000000000;
	return time;
}

long ipc_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

bool ipc_is_recent(time_t seconds)
{
	/* The kernel's times of day may be a tick behind the clock's. */
	time_t now = time(NULL);

	return seconds >= now - 60 && seconds <= now;
}

void ipc_next_second(void)
{
	time_t before = time(NULL);

	while (time(NULL) == before)
		ipc_pause(10);
	ipc_pause(10);
}

void ipc_become(uid_t uid)
{
	must(setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 &&
	     setresuid(uid, uid, uid) == 0);
}
