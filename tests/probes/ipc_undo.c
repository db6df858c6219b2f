/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SEM_UNDO. */
#define FAMILY "undo"
#include "tests/probes/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COUNT = 3, VALUE_MAX = 32767 };

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

static int id;
static int told[2], asked[2];

static void begin(unsigned short a, unsigned short b, unsigned short c)
{
	unsigned short values[COUNT] = {a, b, c};

	id = semget(IPC_PRIVATE, COUNT, 0600);
	must(id >= 0 && semctl(id, 0, SETALL, (union semun){.array = values}) == 0);
	must(pipe2(told, O_CLOEXEC) == 0 && pipe2(asked, O_CLOEXEC) == 0);
}

static void end(void)
{
	must(semctl(id, 0, IPC_RMID) == 0);
	for (int i = 0; i < 2; i++)
		must(close(told[i]) == 0 && close(asked[i]) == 0);
}

static void say_values(const char *what)
{
	unsigned short values[COUNT] = {0};

	must(semctl(id, 0, GETALL, (union semun){.array = values}) == 0);
	say("{undo: %s} %u %u %u", what, values[0], values[1], values[2]);
}

static int change(int which, int by, int flags)
{
	struct sembuf step = {(unsigned short)which, (short)by, (short)flags};

	return semop(id, &step, 1);
}

static int undoable(int which, int by)
{
	return change(which, by, SEM_UNDO);
}

struct doings {
	void (*first)(void), (*then)(void);
};

static void live(void *argument)
{
	const struct doings *doings = argument;

	doings->first();
	ipc_nudge(told[1]);
	ipc_hear(asked[0]);
	if (doings->then)
		doings->then();
}

static pid_t start(void (*first)(void), void (*then)(void))
{
	pid_t pid = ipc_beside(live, &(struct doings){first, then});

	ipc_hear(told[0]);
	return pid;
}

static void finish(pid_t pid)
{
	ipc_nudge(asked[1]);
	await_child(pid);
}

static void take_one(void)
{
	must(undoable(0, -1) == 0);
}

static void take_and_give(void)
{
	must(undoable(0, -2) == 0 && undoable(1, 3) == 0 && undoable(0, 1) == 0);
}

static void take_for_good(void)
{
	must(change(0, -1, 0) == 0 && undoable(1, -1) == 0);
}

static void give_back(void)
{
	must(undoable(0, 1) == 0);
}

static void ask_ends(void)
{
	pid_t pid;

	begin(5, 5, 5);
	pid = start(take_one, NULL);
	say_values("taken");
	finish(pid);
	say_values("exited");
	pid = start(take_one, NULL);
	ipc_kill(pid);
	say_values("killed");
	ask_whether("last pid is the dead one's", semctl(id, 0, GETPID) == pid);
	pid = start(take_and_give, NULL);
	say_values("taken and given");
	ipc_kill(pid);
	say_values("killed, both undone");
	pid = start(take_for_good, NULL);
	ipc_kill(pid);
	say_values("killed, one undone");
	pid = start(take_one, give_back);
	finish(pid);
	say_values("given back, nothing to undo");
	pid = start(take_one, abort);
	kill(pid, SIGTERM);
	tell("terminated", "%d", await_child(pid));
	say_values("terminated");
	for (int i = 0; i < 20; i++)
		ipc_kill(start(take_and_give, NULL));
	say_values("twenty killed");
	end();
}

static void take_all_at_once(void)
{
	struct sembuf steps[] = {
		{0, -1, SEM_UNDO}, {1, -1, 0},       {2, -2, SEM_UNDO},
		{0, -1, SEM_UNDO}, {1, 4, SEM_UNDO},
	};

	must(semop(id, steps, 5) == 0);
}

static void fail_at_once(void)
{
	struct sembuf steps[] = {{0, -1, SEM_UNDO}, {1, -100, SEM_UNDO | IPC_NOWAIT}};

	must(semop(id, steps, 2) == -1 && errno == EAGAIN);
}

static void ask_arrays(void)
{
	begin(9, 9, 9);
	finish(start(fail_at_once, take_one));
	say_values("an array failed, one taken, exited");
	start(take_all_at_once, NULL);
	say_values("an array done");
	ipc_nudge(asked[1]);
	wait(NULL);
	say_values("an array undone");
	end();
}

static void take_three(void)
{
	must(undoable(0, -3) == 0);
}

static void give_five(void)
{
	must(undoable(0, 5) == 0);
}

/* What can't be undone whole. */
static void ask_ranges(void)
{
	pid_t pid;

	begin(0, 0, 0);
	pid = start(give_five, NULL);
	must(change(0, -3, 0) == 0);
	say_values("given five, three of them taken");
	ipc_kill(pid);
	say_values("five less than two");
	must(change(0, 3, 0) == 0);
	pid = start(take_three, NULL);
	must(change(0, VALUE_MAX - 1, 0) == 0);
	ipc_kill(pid);
	say_values("three more than nearly all");
	must(semctl(id, 0, SETVAL, (union semun){.val = 0}) == 0);
	ask("up by all, undoable", undoable(0, VALUE_MAX));
	ask("down by all, for good", change(0, -VALUE_MAX, 0));
	ask("up once more, undoable", undoable(0, 1));
	ask("up twice more, undoable", undoable(0, 2));
	say_values("what can be undone has an end");
	ask("down by one, undoable", undoable(0, -1));
	must(change(0, VALUE_MAX - 10, 0) == 0);
	ask("down by many, undoable", undoable(0, -(VALUE_MAX - 20)));
	say_values("then");
	end();
}

static void ask_sets(void)
{
	pid_t pid;

	begin(5, 5, 5);
	pid = start(take_one, NULL);
	must(semctl(id, 1, SETVAL, (union semun){.val = 7}) == 0);
	ipc_kill(pid);
	say_values("another was set, undone");
	pid = start(take_one, NULL);
	must(semctl(id, 0, SETVAL, (union semun){.val = 7}) == 0);
	ipc_kill(pid);
	say_values("it was set, not undone");
	pid = start(take_one, NULL);
	must(semctl(id, 0, SETALL,
	            (union semun){.array = (unsigned short[COUNT]){3, 3, 3}}) == 0);
	ipc_kill(pid);
	say_values("all were set, not undone");
	pid = start(take_one, NULL);
	must(semctl(id, 0, IPC_RMID) == 0);
	finish(pid);
	id = semget(IPC_PRIVATE, COUNT, 0600);
	say_values("removed, another one");
	end();
}

static void do_nothing(void)
{
}

static void ask_fork(void)
{
	pid_t pid, child;

	begin(5, 5, 5);
	take_one();
	pid = start(do_nothing, NULL);
	finish(pid);
	say_values("a child that did nothing");
	child = start(take_one, NULL);
	ipc_kill(child);
	say_values("a child that took one");
	end();
}

static void take_and_fork(void)
{
	take_one();
	if (fork() == 0) {
		ipc_nudge(told[1]);
		ipc_hear(asked[0]);
		_exit(EXIT_SUCCESS);
	}
	ipc_hear(told[0]);
}

static void ask_orphan(void)
{
	pid_t pid;

	begin(5, 5, 5);
	pid = start(take_and_fork, NULL);
	ipc_kill(pid);
	say_values("killed, its child lives");
	ipc_nudge(asked[1]);
	end();
}

/* Becomes another program, which is the same process. */
static void become(void)
{
	must(dup2(told[1], STDOUT_FILENO) >= 0 && dup2(asked[0], STDIN_FILENO) >= 0);
	execl("/bin/sh", "sh", "-c", "printf x; read word", NULL);
	_exit(99);
}

static void take_and_become(void)
{
	take_one();
	become();
}

static void ask_exec(void)
{
	pid_t pid;

	begin(5, 5, 5);
	pid = start(take_and_become, NULL);
	say_values("it runs another program");
	must(write(asked[1], "\n", 1) == 1);
	await_child(pid);
	say_values("the other program exited");
	pid = start(take_and_become, NULL);
	ipc_kill(pid);
	say_values("the other program killed");
	take_one();
	tell("system", "%d", system("exit 4") >> 8);
	say_values("after system");
	end();
}

static void *take_in_thread(void *argument)
{
	(void)argument;
	take_one();
	return NULL;
}

static void threads(void)
{
	pthread_t thread;

	must(pthread_create(&thread, NULL, take_in_thread, NULL) == 0);
	must(pthread_join(thread, NULL) == 0);
}

static void ask_threads(void)
{
	pid_t pid;

	begin(5, 5, 5);
	pid = start(threads, NULL);
	say_values("a thread took one, and ended");
	finish(pid);
	say_values("its process ended");
	end();
}

static void wait_for(void *argument)
{
	int by = *(int *)argument;

	must(change(0, by, 0) == 0);
}

static void wait_undoably(void *argument)
{
	(void)argument;
	must(undoable(1, -1) == 0);
	must(undoable(0, -9) == 0);
}

static void ask_waiters(void)
{
	pid_t pid, waiter;

	begin(1, 1, 1);
	pid = start(take_one, NULL);
	waiter = ipc_beside(wait_for, &(int){-1});
	ipc_await_asleep(waiter);
	ipc_kill(pid);
	tell("woken by an undo", "%d", await_child(waiter));
	say_values("taken by who was woken");
	pid = start(give_five, NULL);
	waiter = ipc_beside(wait_for, &(int){0});
	ipc_await_asleep(waiter);
	ipc_kill(pid);
	tell("woken by an undo to zero", "%d", await_child(waiter));
	waiter = ipc_beside(wait_undoably, NULL);
	ipc_await_asleep(waiter);
	tell("one waits, and has taken another", "%d", semctl(id, 0, GETNCNT));
	say_values("it has");
	ipc_kill(waiter);
	tell("killed, none waits", "%d", semctl(id, 0, GETNCNT));
	say_values("killed waiting");
	end();
}

/* As a lock that a dying holder leaves to the next. */
static void hold_and_die(void *argument)
{
	(void)argument;
	must(undoable(0, -1) == 0);
	kill(getpid(), SIGKILL);
}

static void ask_lock(void)
{
	enum { CHAIN = 12 };
	pid_t pids[CHAIN];
	int killed = 0;

	begin(1, 0, 0);
	for (int i = 0; i < CHAIN; i++)
		pids[i] = ipc_beside(hold_and_die, NULL);
	for (int i = 0; i < CHAIN; i++)
		killed += await_child(pids[i]) == PROBE_SIGNAL + SIGKILL;
	tell("each had it, and died", "%d", killed);
	say_values("it is free");
	end();
}

static const struct ipc_group groups[] = {
	{"ends", ask_ends}, {"arrays", ask_arrays},   {"ranges", ask_ranges},   {"sets", ask_sets},
	{"fork", ask_fork}, {"orphan", ask_orphan},   {"exec", ask_exec},
	{"threads", ask_threads},
	{"lock", ask_lock}, {"waiters", ask_waiters}, {NULL, NULL},
};

static void body(void)
{
	ipc_run(groups);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
