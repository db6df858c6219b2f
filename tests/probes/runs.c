/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs and scripts that lie in /dev/shm, and programs that are started with files there. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/probes/helper.h"
#include "tests/probes/tree.h"

#define PROGRAM TOP "/program"
#define SCRIPT TOP "/script"

extern char **environ;

static char fd_text[16];
static char *words[] = {(char[]){"program"}, (char[]){"--helper"}, (char[]){"r"}, fd_text, NULL};
static char *script_words[] = {(char[]){"script"}, NULL};

/* What the helper is to find. */
static int prepared;

static void lay_out(void)
{
	int from = open("/proc/self/exe", O_RDONLY);
	int to = open(PROGRAM, O_WRONLY | O_CREAT | O_EXCL, 0755);
	struct stat status;

	must(from >= 0 && to >= 0 && fstat(from, &status) == 0);
	while (sendfile(to, from, NULL, (size_t)status.st_size) > 0)
		continue;
	close(from);
	close(to);
	tree_make(SCRIPT, 0755, "#!/bin/sh\nexit 7\n");
	tree_make(TOP "/text", 0644, "plain text");
	tree_make(TOP "/rubbish", 0755, "\177no program");
	tree_make(TOP "/unreadable", 0111, "#!/bin/sh\nexit 7\n");
	must(mkdir(TOP "/folder", 0755) == 0 && symlink("program", TOP "/link") == 0);
	must(symlink("loop", TOP "/loop") == 0);
	prepared = open(TOP "/data", O_RDWR | O_CREAT, 0600);
	must(write(prepared, HELPER_TEXT, sizeof HELPER_TEXT) == sizeof HELPER_TEXT);
	snprintf(fd_text, sizeof fd_text, "%d", prepared);
}

/* What an exec in a child came to. */
static int *failure;

struct attempt {
	int (*perform)(const char *path);
	const char *path;
};

static void perform(void *argument)
{
	const struct attempt *attempt = argument;

	/* What shells complain of is no answer. */
	dup2(open("/dev/null", O_RDWR | O_CLOEXEC), STDERR_FILENO);
	attempt->perform(attempt->path);
	*failure = errno;
	_exit(99);
}

static void attempt(const char *call, int (*how)(const char *path), const char *path)
{
	struct attempt it = {how, path};
	int status;

	*failure = 0;
	status = in_child(perform, &it);
	say("%s %s: %d %s", call, path, status, tree_error(*failure));
}

static int by_execve(const char *path)
{
	return execve(path, words, environ);
}

static int by_execv(const char *path)
{
	return execv(path, words);
}

static int by_execvp(const char *path)
{
	return execvp(path, words);
}

static int by_execvpe(const char *path)
{
	return execvpe(path, words, environ);
}

static int by_execl(const char *path)
{
	return execl(path, words[0], words[1], words[2], words[3], (char *)NULL);
}

static int by_execlp(const char *path)
{
	return execlp(path, words[0], words[1], words[2], words[3], (char *)NULL);
}

static int by_execle(const char *path)
{
	return execle(path, words[0], words[1], words[2], words[3], (char *)NULL, environ);
}

static int by_fexecve(const char *path)
{
	return fexecve(open(path, O_RDONLY), words, environ);
}

static int by_execveat(const char *path)
{
	int top = open(TOP, O_RDONLY | O_DIRECTORY);

	return execveat(top, strrchr(path, '/') + 1, words, environ, 0);
}

static int by_execveat_empty(const char *path)
{
	return execveat(open(path, O_PATH), "", words, environ, AT_EMPTY_PATH);
}

static int script_by_execve(const char *path)
{
	return execve(path, script_words, environ);
}

static int script_by_execvp(const char *path)
{
	return execvp(path, script_words);
}

static void ask_exec(void)
{
	static const char *const wrong[] = {
		TOP "/text", TOP "/rubbish", TOP "/folder", TOP "/none", TOP "/none/x",
		TOP "/text/x",
		TOP "/loop", TOP, SHM, PROGRAM "/",
	};

	attempt("execve", by_execve, PROGRAM);
	attempt("execve", by_execve, TOP "/link");
	attempt("execve", by_execve, "/dev/../dev/shm//top/program");
	attempt("execv", by_execv, PROGRAM);
	attempt("execvp", by_execvp, PROGRAM);
	attempt("execvpe", by_execvpe, PROGRAM);
	attempt("execl", by_execl, PROGRAM);
	attempt("execlp", by_execlp, PROGRAM);
	attempt("execle", by_execle, PROGRAM);
	attempt("{runs: fexecve}", by_fexecve, PROGRAM);
	attempt("{runs: execveat}", by_execveat, PROGRAM);
	attempt("{runs: execveat of a descriptor}", by_execveat_empty, PROGRAM);
	attempt("script", script_by_execve, SCRIPT);
	attempt("script", script_by_execvp, SCRIPT);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		attempt("execve", by_execve, wrong[i]);
	attempt("execvp", by_execvp, TOP "/rubbish");
	must(chdir(TOP) == 0);
	attempt("execve", by_execve, "./program");
	attempt("execve", by_execve, "program");
	attempt("execve", by_execve, "folder/../program");
	attempt("script", script_by_execve, "./script");
	attempt("execve", by_execve, "");
	must(chdir("/") == 0);
}

static void ask_path_search(void)
{
	char *before = strdup(getenv("PATH"));

	setenv("PATH", "/none:" TOP ":/usr/bin", 1);
	attempt("searched", by_execvp, "program");
	attempt("searched", by_execlp, "program");
	attempt("searched", by_execvpe, "program");
	attempt("searched", script_by_execvp, "script");
	attempt("searched", script_by_execvp, "true");
	attempt("searched", by_execvp, "text");
	attempt("searched", by_execvp, "not-there");
	setenv("PATH", before, 1);
	free(before);
}

/* What a script sees. */
static void ask_scripts(void)
{
	tree_make(SCRIPT, 0755, "#!/bin/sh\n[ \"$0\" = " SCRIPT " ]\n");
	attempt("its name", script_by_execve, SCRIPT);
	tree_make(SCRIPT, 0755,
	          "#!/bin/sh\ncat $(dirname \"$0\")/text >/dev/null || exit 3\nexit 4\n");
	attempt("its neighbour", script_by_execve, SCRIPT);
	tree_make(SCRIPT, 0755, "#!/bin/cat -n\n");
	attempt("with an argument", script_by_execve, SCRIPT);
	tree_make(SCRIPT, 0755, "#!" TOP "/none\n");
	attempt("without interpreter", script_by_execve, SCRIPT);
	tree_make(SCRIPT, 0755, "exit 9\n");
	attempt("without a first line", script_by_execve, SCRIPT);
	attempt("without a first line", script_by_execvp, SCRIPT);
	attempt("{runs: not readable}", script_by_execve, TOP "/unreadable");
	tree_make(SCRIPT, 0755, "#!/bin/sh\nexit 7\n");
}

static void ask_spawn_of(const char *what, const char *path, char *const *argv,
                         const posix_spawn_file_actions_t *actions)
{
	pid_t pid = -1;
	int error = posix_spawn(&pid, path, actions, NULL, argv, environ);

	say("{runs: spawn%s} %s, %d", what, tree_error(error), error ? 0 : await_child(pid));
}

static void ask_spawn(void)
{
	posix_spawn_file_actions_t actions;
	pid_t pid = -1;

	ask_spawn_of("", PROGRAM, words, NULL);
	ask_spawn_of(" of a script", SCRIPT, script_words, NULL);
	ask_spawn_of(" of nothing", TOP "/none", words, NULL);
	ask_spawn_of(" of a text", TOP "/text", words, NULL);
	ask_errno(posix_spawnp(&pid, PROGRAM, NULL, NULL, words, environ));
	say("spawnp: %d", await_child(pid));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 77, TOP "/data", O_RDONLY, 0);
	snprintf(fd_text, sizeof fd_text, "77");
	ask_spawn_of(" that opens", PROGRAM, words, &actions);
	posix_spawn_file_actions_destroy(&actions);
	snprintf(fd_text, sizeof fd_text, "%d", prepared);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addchdir_np(&actions, TOP);
	ask_spawn_of(" that changes folder", "./program", words, &actions);
	posix_spawn_file_actions_destroy(&actions);
}

static void ask_shells(void)
{
	char line[64] = "";
	FILE *pipe;

	say("system: %d", system(SCRIPT) >> 8);
	say("redirection: %d", system("echo by a shell >" TOP "/out && test -s " TOP "/out"));
	tree_tell(TOP "/out");
	pipe = popen("cat <" TOP "/text", "r");
	must(pipe != NULL && fgets(line, sizeof line, pipe) != NULL);
	say("popen: %s, %d", line, pclose(pipe));
	say("appended: %d", system("echo more >>" TOP "/out; test $(wc -l <" TOP "/out) = 2"));
	say("listed: %d", system("cd " TOP " && test -d folder -a -x script -a ! -e none"));
	say("pattern: %d", system("set -- " TOP "/s*; test \"$*\" = " SCRIPT));
	say("no clobber: %d", system("set -C; (echo x >" TOP "/text) 2>/dev/null; test $? != 0"));
}

/* The text of what runs can't be written to. */
static void ask_busy(void)
{
	int ends[2];
	char *sleeper[] = {words[0], (char[]){"--wait"}, fd_text, NULL};
	char byte;
	pid_t pid;
	int writer;

	must(pipe(ends) == 0);
	snprintf(fd_text, sizeof fd_text, "%d", ends[1]);
	pid = fork();
	if (pid == 0) {
		execve(PROGRAM, sleeper, environ);
		_exit(98);
	}
	must(read(ends[0], &byte, 1) == 1);
	differs("runs: writing to what runs", "%s", tree_closed(open(PROGRAM, O_WRONLY)));
	differs("runs: reading and writing", "%s", tree_closed(open(PROGRAM, O_RDWR)));
	ask_fd(open(PROGRAM, O_RDONLY));
	differs("runs: truncating what runs", "%s", outcome(truncate(PROGRAM, 1 << 20)));
	ask(chmod(PROGRAM, 0755));
	ask(rename(PROGRAM, TOP "/other"));
	ask(rename(TOP "/other", PROGRAM));
	kill(pid, SIGKILL);
	say("ended by %d", await_child(pid));
	close(ends[0]);
	close(ends[1]);
	writer = open(PROGRAM, O_RDWR);
	snprintf(fd_text, sizeof fd_text, "%d", prepared);
	attempt("{runs: while it is written}", by_execve, PROGRAM);
	close(writer);
	attempt("and then", by_execve, PROGRAM);
}

static void ask_modes(void)
{
	static const mode_t modes[] = {0100, 0400, 0500, 0600, 0677, 0111, 04755};
	char what[32];

	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		must(chmod(PROGRAM, modes[i]) == 0);
		snprintf(what, sizeof what, "{runs: mode %o}", modes[i]);
		attempt(what, by_execve, PROGRAM);
	}
	must(chmod(PROGRAM, 0755) == 0);
}

static void body(void)
{
	failure = shared_memory(sizeof *failure);
	lay_out();
	ask_exec();
	ask_path_search();
	ask_scripts();
	ask_spawn();
	ask_shells();
	ask_busy();
	ask_modes();
}

static void run(void)
{
	tree_run(body);
}

static int wait_to_be_killed(int fd)
{
	if (write(fd, "r", 1) == 1)
		pause();
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "--wait") == 0)
		return wait_to_be_killed(atoi(argv[2]));
	if (helper_is_meant(argc, argv))
		return helper_main(argc, argv);
	return probe_run(argc, argv, run);
}
