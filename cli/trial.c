/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/trial.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int trial_run(int (*attempt)(void))
{
	const struct rlimit no_core = {0, 0};
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		_exit(attempt());
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return errno;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static const char *signal_name(int number)
{
	static const char *const names[] = {
		[SIGSYS] = "SIGSYS", [SIGSEGV] = "SIGSEGV", [SIGBUS] = "SIGBUS",
		[SIGKILL] = "SIGKILL", [SIGABRT] = "SIGABRT", [SIGILL] = "SIGILL",
	};
	size_t count = sizeof names / sizeof names[0];

	return (size_t)number < count && names[number] ? names[number] : "signal";
}

const char *trial_name(int result)
{
	const char *name = result > 0 ? strerrorname_np(result) : NULL;

	if (result < 0)
		return signal_name(-result);
	switch (result) {
	case 0: return "yes";
	case EREMCHG: return "wrong";
	case ENOTRECOVERABLE: return "?";
	default: return name ? name : "no";
	}
}

const char *trial_words(int result)
{
	if (result == -SIGSYS)
		return "it ends the process by a SIGSYS";
	if (result < 0)
		return strsignal(-result);
	if (result == ENOTRECOVERABLE)
		return "it can't be tried here";
	return result == EREMCHG ? "it does not do what it is for" : strerror(result);
}
