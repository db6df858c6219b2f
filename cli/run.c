/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmemu run: one command with a daemon of its own, and an account of what it left behind. A
 * name that is there when COMMAND ends need not be a leak: Python's resource tracker, a
 * process besides, clears up after its parent has died. So when there are names and processes
 * of the job as well, these are given some time to end: orphans come to us (child subreaper),
 * and their end is what we wait for. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/huge.h"
#include "base/size.h"
#include "cli/child.h"
#include "cli/daemon.h"
#include "cli/find.h"
#include "cli/folder.h"
#include "cli/mounted.h"
#include "cli/option.h"
#include "cli/preload.h"
#include "cli/report.h"
#include "cli/say.h"
#include "cli/signals.h"

enum { ORPHANS_SECONDS = 2, EXIT_LEAK = 1 };

struct run {
	bool keep;
	bool strict;
	bool mounts;      /* over /dev/shm */
	const char *size; /* all that COMMAND may have; NULL: any */
	const char *huge; /* which huge pages; NULL: the daemon's default */
	char **argv;      /* COMMAND */
	struct mounted mounted;
	struct parts parts;
	struct folder folder;
	struct signals signals;
	struct daemon daemon;
	struct child child; /* COMMAND; a signal may have ended us before it began */
};

static void become_command(void *context)
{
	const struct run *run = context;
	char preload[PATH_MAX];

	setenv("SHMEMU_DIR", run->folder.place.bytes, 1);
	find_preload(&run->parts, preload);
	preload_library(preload);
	signals_restore(&run->signals);
	if (run->mounts)
		mounted_restore(&run->mounted);
}

static void note_death(void *context, pid_t pid)
{
	struct run *run = context;

	daemon_note_death(&run->daemon, pid);
}

static bool reap(struct run *run)
{
	return child_reap(&run->child, note_death, run);
}

static void await_command(struct run *run)
{
	struct signalfd_siginfo info;

	for (;;) {
		if (!signals_next(&run->signals, -1, &info))
			continue;
		if (info.ssi_signo == SIGCHLD && reap(run))
			return;
		child_forward(&run->child, &info);
	}
}

/* Are there children of ours left in the job's process group? The daemon is in another. */
static bool has_orphans(void)
{
	siginfo_t ignored;

	return waitid(P_PGID, (id_t)getpgrp(), &ignored, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void await_orphans(struct run *run)
{
	long long deadline = signals_deadline(ORPHANS_SECONDS);
	struct signalfd_siginfo info;

	for (reap(run); has_orphans(); reap(run))
		if (!signals_next_before(&run->signals, deadline, &info) ||
		    signals_is_ending(&info))
			return;
}

/* Returns how many names were left behind. */
static int account(struct run *run)
{
	bool in_use = false;
	int count;

	if (run->daemon.pid == 0)
		return 0;
	count = report_names(run->daemon.sock, false, &in_use);
	if (count > 0) {
		await_orphans(run);
		count = report_names(run->daemon.sock, true, &in_use);
	}
	if (count > 0 && in_use && !run->keep)
		say("what is in use is lost to whoever uses it: a command that goes into the "
		    "background takes --keep, or LD_PRELOAD=%s in place of 'shmemu run'",
		    run->parts.library);
	if (count < 0)
		say("cannot tell what was left behind: the daemon does not answer: %s",
		    strerror(-count));
	return count;
}

static void say_kept(const struct run *run)
{
	say("kept: reach them with SHMEMU_DIR=%s LD_PRELOAD=%s; their daemon, process %d, ends %d "
	    "seconds after the last name and the last client are gone", run->folder.place.bytes,
	    run->parts.library, (int)run->daemon.pid, DAEMON_IDLE_SECONDS);
}

static void finish(struct run *run, int names)
{
	if (run->keep && names > 0 && run->daemon.pid > 0) {
		say_kept(run);
		daemon_leave(&run->daemon, &run->folder);
		return;
	}
	daemon_end(&run->daemon, &run->signals);
	folder_remove(&run->folder);
}

/* From the first thing that must be cleared up to the last. */
static void run_command(struct run *run)
{
	struct daemon_plan plan = {
		.program = run->parts.daemon,
		.folder = &run->folder,
		.lasting = run->keep,
		.size = run->size,
		.huge = run->huge,
		.mount = run->mounts ? MOUNTED_PATH : NULL,
		.privileged = run->mounts && run->mounted.in_user_namespace,
	};
	bool is_clean;
	int names = 0;
	int result = daemon_start(&run->daemon, &plan, &run->signals, &run->child.signal);

	if (result == 0)
		result = child_start(&run->child, run->argv, become_command, run);
	if (result == 0) {
		await_command(run);
		/* A daemon that died, or does not answer, left nobody knows what. */
		names = account(run);
		is_clean = names == 0 && run->daemon.pid > 0;
		if (run->strict && !is_clean && run->child.status == EXIT_SUCCESS)
			run->child.status = EXIT_LEAK;
	}
	finish(run, names);
}

static void check_size(const char *size)
{
	uint64_t bytes;

	if (size_parse(size, &bytes) < 0)
		fail("run: --size takes " SIZE_WORDS ", not '%s'", size);
}

static void check_huge(const char *word)
{
	enum huge huge;

	if (huge_parse(word, &huge) < 0)
		fail("run: --huge takes " HUGE_WORDS ", not '%s'", word);
}

static void parse(struct run *run, int argc, char **argv)
{
	int option;

	while ((option = option_next(&run_subcommand, argc, argv)) != -1) {
		switch (option) {
		case 'k': run->keep = true; break;
		case 's': run->strict = true; break;
		case 'm': run->mounts = true; break;
		case 'z': check_size(run->size = optarg); break;
		case 'u': check_huge(run->huge = optarg); break;
		}
	}
	run->argv = argv + optind;
	if (run->keep && run->mounts)
		fail("run: --keep and --mount-dev-shm exclude each other: nobody else sees what is "
		     "mounted for COMMAND");
	if (!run->argv[0])
		fail("run: which command? Try 'shmemu run --help'");
}

static int run_main(int argc, char **argv)
{
	struct run run = {.daemon = DAEMON_NULL, .child = {.status = EXIT_TOOL}};

	parse(&run, argc, argv);
	find_parts(&run.parts);
	if (run.mounts)
		mounted_enter(&run.mounted);
	signals_take(&run.signals);
	folder_make(&run.folder);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	run_command(&run);
	return child_end(&run.child);
}

static const struct subcommand_option options[] = {
	{"keep", 'k', NULL, "leave them, and say how to reach them", COMPLETE_NOTHING},
	{"strict", 's', NULL,
	 "exit with status 1 if anything is left behind and COMMAND succeeded", COMPLETE_NOTHING},
	{"mount-dev-shm", 'm', NULL,
	 "mount them over /dev/shm, for COMMAND alone, so that programs without the library, "
	 "static ones too, have them; takes FUSE", COMPLETE_NOTHING},
	{"size", 'z', "BYTES",
	 "all that COMMAND may have, with k, m, g or t behind it, or % of memory",
	 COMPLETE_NOTHING},
	{"huge", 'u', "WHAT",
	 "which of it has huge pages: never, within_size, advise or always", COMPLETE_NOTHING},
	OPTION_END,
};

const struct subcommand run_subcommand = {
	.name = "run",
	.arguments = {"[OPTION]... [--] COMMAND [ARG]..."},
	.summary = "run a command with shared memory of its own; tell what it left behind",
	.about = "Run a command with shared memory and semaphores of its own, and tell which it "
	         "left behind.",
	.after = "The exit status is COMMAND's, and a signal that ends COMMAND ends shmemu too; "
	         "125 if shmemu fails, 126 if COMMAND can't be executed, 127 if it can't be "
	         "found.",
	.options = options,
	.operands = COMPLETE_COMMAND,
	.run = run_main,
};
