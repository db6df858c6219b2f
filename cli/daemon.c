/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the daemon and the tool there are three things: a pipe on which the daemon says that
 * it serves, a pipe that is its standard error (were it the tool's own, a lasting daemon would
 * keep the reader of COMMAND's output from ever seeing its end), and a connection, which keeps
 * it from being idle. */
#include "cli/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "base/place.h"
#include "cli/folder.h"
#include "cli/privilege.h"
#include "cli/say.h"
#include "cli/signals.h"

enum { KEPT_FD = 3, END_SECONDS = 5 };

static void close_above(int last)
{
	if (sys_call(SYS_close_range, last + 1, ~0U, 0, 0, 0, 0) == 0)
		return;
	/* Before Linux 5.9 */
	for (long fd = sysconf(_SC_OPEN_MAX) - 1; fd > last; fd--)
		close((int)fd);
}

/* In a child: `kept` becomes KEPT_FD, `errors` (or nothing: -1) standard error, and nothing else of
 * the tool's or its caller's is passed on. */
static void arrange_descriptors(int kept, int errors)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int high = fcntl(kept, F_DUPFD_CLOEXEC, KEPT_FD + 1);

	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(errors >= 0 ? errors : null, STDERR_FILENO);
	dup2(high, KEPT_FD);
	close_above(KEPT_FD);
}

static void reset_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void execute(const struct daemon_plan *plan)
{
	char ready[32], idle[32], size[64], huge[64];
	const char *words[8] = {plan->program, "--foreground", ready, idle};
	size_t count = 4;

	snprintf(ready, sizeof ready, "--ready-fd=%d", KEPT_FD);
	snprintf(idle, sizeof idle, "--idle-exit=%d", plan->lasting ? DAEMON_IDLE_SECONDS : 0);
	snprintf(size, sizeof size, "--size=%s", plan->size ? plan->size : "");
	if (plan->size)
		words[count++] = size;
	snprintf(huge, sizeof huge, "--huge=%s", plan->huge ? plan->huge : "");
	if (plan->huge)
		words[count++] = huge;
	words[count] = plan->mount ? plan->mount : "--no-mount";
	execv(plan->program, (char *const *)(uintptr_t)words);
}

static _Noreturn void become_daemon(const struct daemon_plan *plan, pid_t tool)
{
	/* Ctrl-C is not for it: it is in no terminal's session. */
	setsid();
	if (plan->privileged)
		privilege_keep_over_exec();
	if (!plan->lasting)
		prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	if (!plan->lasting && getppid() != tool)
		_exit(EXIT_FAILURE);
	reset_signals();
	setenv("SHMEMU_DIR", plan->folder->place.bytes, 1);
	unsetenv("LD_PRELOAD");
	if (chdir("/") == 0)
		execute(plan);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", plan->program, strerror(errno));
	_exit(EXIT_FAILURE);
}

/* Passes on what the daemon said so far; returns whether that was anything. */
static bool relay_errors(const struct daemon *daemon)
{
	char text[4096], *rest = text, *line;
	ssize_t length = read(daemon->errors, text, sizeof text - 1);

	if (length <= 0)
		return false;
	text[length] = '\0';
	while ((line = strsep(&rest, "\n")))
		if (line[0])
			say("%s", line);
	return true;
}

/* Returns 0 when the daemon serves, -EIO when it ended instead, -EINTR. */
static int await_ready(int ready, const struct signals *signals, int *ret_signal)
{
	struct pollfd either[] = {
		{.fd = ready, .events = POLLIN},
		{.fd = signals->fd, .events = POLLIN},
	};
	struct signalfd_siginfo info;
	char byte;

	for (;;) {
		if (poll(either, 2, -1) < 0)
			continue;
		if (either[0].revents)
			return read(ready, &byte, 1) == 1 ? 0 : -EIO;
		if (signals_next(signals, 0, &info) && signals_is_ending(&info)) {
			*ret_signal = (int)info.ssi_signo;
			return -EINTR;
		}
	}
}

static int connect_to(const struct folder *folder)
{
	OWN_FD place = place_open(folder->place.bytes, geteuid());

	return place < 0 ? place : place_connect(place, folder->place.bytes, geteuid());
}

/* After a start that failed. */
static void explain(const struct daemon *daemon, const char *program)
{
	if (!relay_errors(daemon))
		say("the daemon %s ended before it served, and did not say why", program);
}

static int fork_daemon(struct daemon *daemon, const struct daemon_plan *plan, int *ret_ready)
{
	pid_t tool = getpid();
	int ready[2], errors[2];

	if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(errors, O_CLOEXEC | O_NONBLOCK) < 0)
		fail("cannot make a pipe to the daemon: %s", strerror(errno));
	daemon->pid = fork();
	if (daemon->pid == 0) {
		arrange_descriptors(ready[1], errors[1]);
		become_daemon(plan, tool);
	}
	close(ready[1]);
	close(errors[1]);
	daemon->errors = errors[0];
	*ret_ready = ready[0];
	if (daemon->pid > 0)
		return 0;
	say("cannot start the daemon: %s", strerror(errno));
	daemon->pid = 0;
	return -EIO;
}

int daemon_start(struct daemon *daemon, const struct daemon_plan *plan,
                 const struct signals *signals, int *ret_signal)
{
	OWN_FD ready = -1;
	int result = fork_daemon(daemon, plan, &ready);

	if (result < 0)
		return result;
	result = await_ready(ready, signals, ret_signal);
	if (result == -EIO)
		explain(daemon, plan->program);
	if (result < 0)
		return result;
	daemon->sock = connect_to(plan->folder);
	if (daemon->sock >= 0)
		return 0;
	say("cannot connect to the daemon in %s: %s", plan->folder->place.bytes,
	    strerror(-daemon->sock));
	return -EIO;
}

void daemon_note_death(struct daemon *daemon, pid_t pid)
{
	if (pid == 0 || pid != daemon->pid)
		return;
	daemon->pid = 0;
	relay_errors(daemon);
	say("the daemon died while the command ran: what was in shared memory can't be opened any "
	    "more");
}

/* Returns whether it ended in time. */
static bool await_end(pid_t pid, const struct signals *signals)
{
	long long deadline = signals_deadline(END_SECONDS);
	struct signalfd_siginfo info;

	while (waitpid(pid, NULL, WNOHANG) == 0)
		if (!signals_next_before(signals, deadline, &info))
			return false;
	return true;
}

void daemon_end(struct daemon *daemon, const struct signals *signals)
{
	fd_close_at(&daemon->sock);
	if (daemon->pid > 0) {
		kill(daemon->pid, SIGTERM);
		if (!await_end(daemon->pid, signals)) {
			say("the daemon, process %d, does not end: killing it", (int)daemon->pid);
			kill(daemon->pid, SIGKILL);
			waitpid(daemon->pid, NULL, 0);
		}
		daemon->pid = 0;
		relay_errors(daemon);
	}
	fd_close_at(&daemon->errors);
}

/* Somebody must remove the folder, and the daemon does not know that it is only its own. */
static void watch_over(pid_t pid, const struct folder *folder)
{
	OWN_FD pidfd = (int)sys_call(SYS_pidfd_open, pid, 0, 0, 0, 0, 0);
	struct pollfd end = {.fd = KEPT_FD, .events = POLLIN};

	if (pidfd < 0 || fork() != 0)
		return;
	setsid();
	arrange_descriptors(pidfd, -1);
	if (chdir("/") < 0)
		_exit(EXIT_FAILURE);
	while (poll(&end, 1, -1) < 0 && errno == EINTR)
		continue;
	folder_remove(folder);
	_exit(EXIT_SUCCESS);
}

void daemon_leave(struct daemon *daemon, const struct folder *folder)
{
	watch_over(daemon->pid, folder);
	fd_close_at(&daemon->sock);
	fd_close_at(&daemon->errors);
}
