/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attachments of processes that fork, run other programs, exit and are killed. */
#define FAMILY "shmat"
#include "tests/probes/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { PAGE = 4096 };

struct pipes {
	int told[2], asked[2];
};

static int id;
static char *memory;
static struct pipes pipes;

static struct shmid_ds stat_of(void)
{
	struct shmid_ds status = {.shm_segsz = 0};

	must(shmctl(id, IPC_STAT, &status) == 0);
	return status;
}

static long count(void)
{
	return (long)stat_of().shm_nattch;
}

#define tell_count(what) tell(what, "%ld", count())

static void begin(int attached)
{
	id = shmget(IPC_PRIVATE, PAGE, 0600);
	must(id >= 0 && pipe2(pipes.told, O_CLOEXEC) == 0 && pipe2(pipes.asked, O_CLOEXEC) == 0);
	for (int i = 0; i < attached; i++)
		must((memory = shmat(id, NULL, 0)) != (void *)-1);
}

static void end(void)
{
	must(shmctl(id, IPC_RMID, NULL) == 0);
	for (int i = 0; i < 2; i++)
		must(close(pipes.told[i]) == 0 && close(pipes.asked[i]) == 0);
}

/* A child that has done `first`, waits for our word, does `then`, and exits. */
struct doings {
	void (*first)(void), (*then)(void);
};

static void live(void *argument)
{
	const struct doings *doings = argument;

	if (doings->first)
		doings->first();
	ipc_nudge(pipes.told[1]);
	ipc_hear(pipes.asked[0]);
	if (doings->then)
		doings->then();
}

static pid_t start(void (*first)(void), void (*then)(void))
{
	struct doings doings = {first, then};
	pid_t pid = ipc_beside(live, &doings);

	ipc_hear(pipes.told[0]);
	return pid;
}

static void finish(pid_t pid)
{
	ipc_nudge(pipes.asked[1]);
	must(await_child(pid) == EXIT_SUCCESS);
}

static void attach(void)
{
	must((memory = shmat(id, NULL, 0)) != (void *)-1);
}

static void detach(void)
{
	must(shmdt(memory) == 0);
}

static void kill_itself(void)
{
	kill(getpid(), SIGKILL);
}

static void ask_fork(void)
{
	pid_t pid;

	begin(2);
	tell_count("twice");
	pid = start(NULL, NULL);
	tell_count("a child, too");
	finish(pid);
	tell_count("the child has exited");
	pid = start(detach, NULL);
	tell_count("a child has detached one");
	ask_whether("last pid is the child's", stat_of().shm_lpid == pid);
	finish(pid);
	tell_count("and exited");
	pid = start(attach, NULL);
	tell_count("a child has one more");
	finish(pid);
	tell_count("and exited with three");
	pid = start(NULL, NULL);
	detach();
	tell_count("parent detached, the child has not");
	ipc_kill(pid);
	tell_count("the child killed");
	end();
}

static void ask_exit(void)
{
	struct shmid_ds before;
	pid_t pid;

	begin(0);
	pid = start(attach, NULL);
	tell_count("a child attached");
	before = stat_of();
	ask_whether("last pid is the child's", before.shm_lpid == pid);
	ask_whether("creator's is not", before.shm_cpid == getpid());
	ipc_next_second();
	finish(pid);
	tell_count("exited");
	ask_whether("detach time", stat_of().shm_dtime > before.shm_atime);
	ask_whether("last pid then", stat_of().shm_lpid == pid);
	pid = start(attach, kill_itself);
	ipc_nudge(pipes.asked[1]);
	tell("kills itself", "%d", await_child(pid));
	tell_count("killed itself");
	pid = start(attach, abort);
	kill(pid, SIGTERM);
	tell("terminated", "%d", await_child(pid));
	tell_count("terminated");
	for (int i = 0; i < 20; i++) {
		ipc_kill(start(attach, NULL));
		must(count() == 0);
	}
	tell_count("killed twenty times");
	end();
}

static void ask_grandchild(void)
{
	pid_t grandchild;
	int lines[2];

	begin(1);
	must(pipe(lines) == 0);
	if (fork() == 0) {
		grandchild = fork();
		if (grandchild == 0) {
			ipc_nudge(lines[1]);
			ipc_hear(pipes.asked[0]);
			kill_itself();
		}
		_exit(EXIT_SUCCESS);
	}
	wait(NULL);
	ipc_hear(lines[0]);
	tell_count("a grandchild, its parent gone");
	ipc_nudge(pipes.asked[1]);
	for (int i = 0; i < 500 && count() != 1; i++)
		ipc_pause(10);
	tell_count("a grandchild, gone");
	detach();
	end();
}

static void ask_removed(void)
{
	struct shmid_ds status;
	pid_t pid, other;

	begin(0);
	pid = start(attach, NULL);
	other = start(attach, NULL);
	must(shmctl(id, IPC_RMID, NULL) == 0);
	tell_count("removed, two have it");
	ipc_kill(pid);
	tell_count("removed, one has it");
	ipc_kill(other);
	ask("removed, none has it", shmctl(id, IPC_STAT, &status));
	id = shmget(IPC_PRIVATE, PAGE, 0600);
	pid = start(attach, NULL);
	must(shmctl(id, IPC_RMID, NULL) == 0);
	finish(pid);
	ask("removed, it has exited", shmctl(id, IPC_STAT, &status));
	id = shmget(IPC_PRIVATE, PAGE, 0600);
	end();
}

/* Becomes a program that tells it is there and waits for a line. */
static void become(void)
{
	must(dup2(pipes.told[1], STDOUT_FILENO) >= 0 && dup2(pipes.asked[0], STDIN_FILENO) >= 0);
	execl("/bin/sh", "sh", "-c", "printf x; read word", NULL);
	_exit(99);
}

static void attach_and_become(void)
{
	attach();
	attach();
	become();
}

static void ask_exec(void)
{
	struct doings doings = {attach_and_become, NULL};
	posix_spawn_file_actions_t actions;
	static char shell[] = "sh", option[] = "-c", script[] = "printf x; read word";
	char *argv[] = {shell, option, script, NULL};
	pid_t pid;

	begin(1);
	pid = ipc_beside(live, &doings);
	ipc_hear(pipes.told[0]);
	tell_count("a child runs another program");
	must(write(pipes.asked[1], "\n", 1) == 1);
	tell("it ended", "%d", await_child(pid));
	tell_count("it ended");
	doings.first = become;
	pid = ipc_beside(live, &doings);
	ipc_hear(pipes.told[0]);
	tell_count("what it inherited is gone");
	must(write(pipes.asked[1], "\n", 1) == 1 && await_child(pid) == 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipes.told[1], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, pipes.asked[0], STDIN_FILENO);
	must(posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ) == 0);
	ipc_hear(pipes.told[0]);
	tell_count("a spawned one runs");
	must(write(pipes.asked[1], "\n", 1) == 1 && await_child(pid) == 0);
	tell_count("a spawned one ended");
	tell("system", "%d", system("exit 3") >> 8);
	tell_count("after system");
	detach();
	tell_count("detached");
	end();
}

static void *attach_there(void *argument)
{
	(void)argument;
	attach();
	return NULL;
}

static void *exit_there(void *argument)
{
	(void)argument;
	attach();
	_exit(EXIT_SUCCESS);
}

static void threads(void)
{
	pthread_t thread;

	must(pthread_create(&thread, NULL, attach_there, NULL) == 0);
	must(pthread_join(thread, NULL) == 0);
}

static void exit_by_thread(void)
{
	pthread_t thread;

	must(pthread_create(&thread, NULL, exit_there, NULL) == 0);
	pthread_join(thread, NULL);
}

static void ask_threads(void)
{
	pid_t pid;

	begin(0);
	pid = start(threads, NULL);
	tell_count("a thread attached, and ended");
	finish(pid);
	tell_count("its process, too");
	pid = start(NULL, exit_by_thread);
	finish(pid);
	tell_count("a thread exits for all");
	end();
}

/* Many at once, of which some are killed. */
static void ask_crowd(void)
{
	enum { CROWD = 16 };
	pid_t pids[CROWD];

	begin(1);
	for (int i = 0; i < CROWD; i++)
		pids[i] = start(attach, NULL);
	tell_count("a crowd");
	for (int i = 0; i < CROWD; i += 2)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < CROWD; i += 2)
		await_child(pids[i]);
	tell_count("half of it");
	for (int i = 1; i < CROWD; i += 2)
		ipc_nudge(pipes.asked[1]);
	for (int i = 1; i < CROWD; i += 2)
		await_child(pids[i]);
	tell_count("none of it");
	detach();
	tell_count("nobody");
	end();
}

static void write_word(void)
{
	strcpy(memory, "a child's word");
}

static void ask_words(void)
{
	pid_t pid;

	begin(1);
	pid = start(write_word, NULL);
	tell("a child's, by what it inherited", "%s", memory);
	strcpy(memory, "ours");
	finish(pid);
	pid = start(attach, write_word);
	finish(pid);
	tell("a child's, by its own", "%s", memory);
	detach();
	end();
}

static const struct ipc_group groups[] = {
	{"fork", ask_fork}, {"exit", ask_exit},       {"grandchild", ask_grandchild},
	{"exec", ask_exec}, {"removed", ask_removed}, {"threads", ask_threads},
	{"crowd", ask_crowd}, {"words", ask_words},   {NULL, NULL},
};

static void body(void)
{
	ipc_run(groups);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
