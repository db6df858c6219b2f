/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/child.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "cli/subcommand.h"

int child_start(struct child *child, char **argv, void (*prepare)(void *context), void *context)
{
	child->pid = fork();
	if (child->pid == 0) {
		prepare(context);
		command_exec(argv);
	}
	if (child->pid > 0)
		return 0;
	say("cannot start a process for %s: %s", argv[0], strerror(errno));
	return -EIO;
}

bool child_reap(struct child *child, void (*note)(void *context, pid_t pid), void *context)
{
	bool is_over = false;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (WIFSTOPPED(status)) {
			/* A SIGSTOP was meant for COMMAND alone; the others are job control. */
			if (pid == child->pid && WSTOPSIG(status) != SIGSTOP)
				signals_stop_by(WSTOPSIG(status));
			continue;
		}
		if (note)
			note(context, pid);
		if (pid != child->pid)
			continue;
		is_over = true;
		child->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
		child->status = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_TOOL;
	}
	return is_over;
}

void child_forward(const struct child *child, const struct signalfd_siginfo *info)
{
	if (signals_is_to_forward(info, child->pid))
		kill(child->pid, (int)info->ssi_signo);
}

int child_end(const struct child *child)
{
	if (child->signal)
		signals_die_by(child->signal);
	return child->status;
}
