/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* COMMAND runs in the tool's process group, so that the shell's job control and the terminal
 * see one job. What the terminal sends (Ctrl-C, Ctrl-Z, Ctrl-\\) reaches COMMAND without our
 * doing, and must not be sent a second time; it comes from the kernel, and that tells it from
 * a kill(1) meant for the tool, whose pid is the only one that the caller knows. */
#include "cli/signals.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "cli/say.h"

enum { STATUS_SIGNAL_BASE = 128 };

/* Not for reading: faults of our own, and SIGPIPE, which our own writing raises. */
static const int unread[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS,
	SIGPIPE, SIGTTIN, SIGTTOU};

void signals_take(struct signals *ret_signals)
{
	struct sigaction defaults = {.sa_handler = SIG_DFL};
	struct signals signals;
	sigset_t all, read;

	sigfillset(&all);
	sigfillset(&read);
	for (size_t i = 0; i < sizeof unread / sizeof unread[0]; i++)
		sigdelset(&read, unread[i]);
	sigprocmask(SIG_SETMASK, &all, &signals.mask_before);
	/* Where the caller ignores SIGCHLD, the kernel would bury our children unseen. */
	sigaction(SIGCHLD, &defaults, &signals.child_before);
	signals.fd = signalfd(-1, &read, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals.fd < 0)
		fail("cannot watch for signals: %s", strerror(errno));
	*ret_signals = signals;
}

void signals_restore(const struct signals *signals)
{
	sigaction(SIGCHLD, &signals->child_before, NULL);
	sigprocmask(SIG_SETMASK, &signals->mask_before, NULL);
}

bool signals_next(const struct signals *signals, int milliseconds,
                  struct signalfd_siginfo *ret_info)
{
	struct pollfd readable = {.fd = signals->fd, .events = POLLIN};

	if (poll(&readable, 1, milliseconds) != 1)
		return false;
	return read(signals->fd, ret_info, sizeof *ret_info) == sizeof *ret_info;
}

static long long now_milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

long long signals_deadline(int seconds)
{
	return now_milliseconds() + seconds * 1000LL;
}

bool signals_next_before(const struct signals *signals, long long deadline,
                         struct signalfd_siginfo *ret_info)
{
	long long left = deadline - now_milliseconds();

	return left > 0 && signals_next(signals, (int)left, ret_info);
}

bool signals_is_to_forward(const struct signalfd_siginfo *info, pid_t command)
{
	if (info->ssi_signo == SIGCHLD)
		return false;
	/* A terminal that goes away tells the leader of its session alone. */
	if (info->ssi_code > 0)
		return info->ssi_signo == SIGHUP && getsid(0) == getpid();
	/* COMMAND's own kill(0, ...) */
	return (pid_t)info->ssi_pid != command;
}

bool signals_is_ending(const struct signalfd_siginfo *info)
{
	int signal = (int)info->ssi_signo;

	return signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT;
}

/* The signal, with its default effect, on this process; all else stays blocked. */
static void suffer(int signal)
{
	struct sigaction defaults = {.sa_handler = SIG_DFL};
	sigset_t only, before;

	sigaction(signal, &defaults, NULL);
	raise(signal);
	sigemptyset(&only);
	sigaddset(&only, signal);
	sigprocmask(SIG_UNBLOCK, &only, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

void signals_stop_by(int signal)
{
	suffer(signal);
}

void signals_die_by(int signal)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	suffer(signal);
	/* The first process of a pid namespace outlives its signals. */
	_exit(STATUS_SIGNAL_BASE + signal);
}
