/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* semop and semtimedop that wait: for how long, who goes on, and what ends it. */
#define FAMILY "semop"
#include "tests/probes/ipc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/time.h>
#include <unistd.h>

enum { COUNT = 3, STEPS_MAX = 4, COUNTED = 100, PATIENCE_MS = 3000 };

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

struct steps {
	struct sembuf all[STEPS_MAX];
	size_t count;
	long timeout_ms; /* 0: none */
	int handled;     /* flags of a handler of SIGUSR1, or -1 */
};

#define STEPS(...)                                                                                 \
	&(struct steps) {                                                                          \
		.all = {__VA_ARGS__}, .count = sizeof(struct sembuf[]){__VA_ARGS__} / 6,           \
		.handled = -1                                                                      \
	}

static int id;

static void begin(unsigned short a, unsigned short b, unsigned short c)
{
	unsigned short values[COUNT] = {a, b, c};

	id = semget(IPC_PRIVATE, COUNT, 0600);
	must(id >= 0 && semctl(id, 0, SETALL, (union semun){.array = values}) == 0);
}

static void end(void)
{
	must(semctl(id, 0, IPC_RMID) == 0);
}

static void say_values(const char *what)
{
	unsigned short values[COUNT] = {0};

	must(semctl(id, 0, GETALL, (union semun){.array = values}) == 0);
	say("{semop: %s} %u %u %u", what, values[0], values[1], values[2]);
}

static void say_waiting(const char *what)
{
	say("{semop: %s} for more %d %d %d, for zero %d %d %d", what, semctl(id, 0, GETNCNT),
	    semctl(id, 1, GETNCNT), semctl(id, 2, GETNCNT), semctl(id, 0, GETZCNT),
	    semctl(id, 1, GETZCNT), semctl(id, 2, GETZCNT));
}

static int perform(struct steps *steps)
{
	struct timespec timeout = {steps->timeout_ms / 1000, steps->timeout_ms % 1000 * 1000000};
	int result;

	if (steps->timeout_ms)
		result = semtimedop(id, steps->all, steps->count, &timeout);
	else
		result = semop(id, steps->all, steps->count);
	return result < 0 ? errno : 0;
}

static void perform_and_exit(void *argument)
{
	struct steps *steps = argument;

	if (steps->handled >= 0)
		ipc_handle(SIGUSR1, steps->handled);
	_exit(perform(steps));
}

static int count_waiting(void)
{
	int count = 0;

	for (int i = 0; i < COUNT; i++)
		count += semctl(id, i, GETNCNT) + semctl(id, i, GETZCNT);
	return count;
}

/* Besides so many others. Asleep is also who is still on the way to where it waits. */
static void await_waiting(pid_t pid, int others)
{
	for (int i = 0; i < PATIENCE_MS && count_waiting() <= others; i++)
		ipc_pause(1);
	ipc_await_asleep(pid);
}

/* A child that waits by now. */
static pid_t start(struct steps *steps)
{
	int others = count_waiting();
	pid_t pid = ipc_beside(perform_and_exit, steps);

	await_waiting(pid, others);
	return pid;
}

static const char *do_steps(struct steps *steps)
{
	errno = perform(steps);
	return outcome(errno ? -1 : 0);
}

static void ask_simple(void)
{
	pid_t pid;

	begin(0, 0, 1);
	pid = start(STEPS({0, -1, 0}));
	say_waiting("one waits for more");
	tell("it is given", "%s", do_steps(STEPS({0, 1, 0})));
	tell("it went on", "%s", ipc_end_of(pid));
	say_values("taken");
	say_waiting("nobody waits");
	ask_whether("last pid is its", semctl(id, 0, GETPID) == pid);
	pid = start(STEPS({2, 0, 0}));
	say_waiting("one waits for zero");
	tell("it comes", "%s", do_steps(STEPS({2, -1, 0})));
	tell("it went on with zero", "%s", ipc_end_of(pid));
	ask_whether("last pid is its, too", semctl(id, 2, GETPID) == pid);
	pid = start(STEPS({0, -3, 0}));
	do_steps(STEPS({0, 2, 0}));
	ipc_pause(20);
	say_waiting("two are not three");
	say_values("they stay");
	do_steps(STEPS({0, 2, 0}));
	tell("four are enough", "%s", ipc_end_of(pid));
	say_values("one is left");
	pid = start(STEPS({1, -2, 0}));
	must(semctl(id, 1, SETVAL, (union semun){.val = 5}) == 0);
	tell("set", "%s", ipc_end_of(pid));
	say_values("set, and taken");
	pid = start(STEPS({0, 0, 0}, {1, 0, 0}));
	say_waiting("for the first zero");
	must(semctl(id, 0, SETVAL, (union semun){.val = 0}) == 0);
	ipc_await_asleep(pid);
	say_waiting("for the second zero");
	must(semctl(id, 0, SETALL, (union semun){.array = (unsigned short[COUNT]){0}}) == 0);
	tell("all set", "%s", ipc_end_of(pid));
	end();
}

static void ask_arrays(void)
{
	pid_t pid, other;

	begin(0, 0, 0);
	pid = start(STEPS({0, -1, 0}, {1, -1, 0}, {2, 1, 0}));
	say_waiting("for two");
	do_steps(STEPS({0, 1, 0}));
	ipc_await_asleep(pid);
	say_waiting("for the second of two");
	say_values("the first is not taken");
	tell("another takes it", "%s", do_steps(STEPS({0, -1, IPC_NOWAIT})));
	do_steps(STEPS({1, 1, 0}));
	ipc_await_asleep(pid);
	say_waiting("for the first of two");
	do_steps(STEPS({0, 1, 0}));
	tell("both", "%s", ipc_end_of(pid));
	say_values("both taken, one given");
	other = start(STEPS({1, -1, 0}));
	pid = start(STEPS({0, -1, 0}, {1, 1, 0}));
	do_steps(STEPS({0, 1, 0}));
	tell("one wakes", "%s", ipc_end_of(pid));
	tell("and that another", "%s", ipc_end_of(other));
	say_values("nothing left");
	pid = start(STEPS({0, -1, 0}, {1, -1, IPC_NOWAIT}));
	do_steps(STEPS({0, 1, 0}));
	tell("woken where it must not wait", "%s", ipc_end_of(pid));
	say_values("not taken");
	pid = start(STEPS({0, 0, 0}, {1, 32767, 0}, {1, 1, 0}));
	do_steps(STEPS({0, -1, 0}));
	tell("woken to do too much", "%s", ipc_end_of(pid));
	say_values("not done");
	end();
}

static int queue[2];

struct turn {
	int number;
	struct sembuf step;
};

static void take_turn(void *argument)
{
	struct turn *turn = argument;
	char digit = (char)('0' + turn->number);

	must(semop(id, &turn->step, 1) == 0);
	must(write(queue[1], &digit, 1) == 1);
}

static void say_next(const char *what)
{
	char digit = '?';

	must(read(queue[0], &digit, 1) == 1);
	say("{semop: %s} %c", what, digit);
}

static void ask_order(void)
{
	enum { TURNS = 4 };
	pid_t pids[TURNS];

	begin(0, 0, 0);
	must(pipe(queue) == 0);
	for (int i = 0; i < TURNS; i++) {
		pids[i] = ipc_beside(take_turn, &(struct turn){i, {0, -1, 0}});
		await_waiting(pids[i], i);
	}
	tell("they wait", "%d", semctl(id, 0, GETNCNT));
	for (int i = 0; i < TURNS; i++) {
		do_steps(STEPS({0, 1, 0}));
		say_next("first come, first served");
	}
	for (int i = 0; i < TURNS; i++)
		await_child(pids[i]);
	for (int i = 0; i < TURNS; i++) {
		pids[i] = ipc_beside(take_turn, &(struct turn){i, {0, (short)(i - TURNS), 0}});
		ipc_await_asleep(pids[i]);
	}
	do_steps(STEPS({0, 1, 0}));
	say_next("who needs one");
	do_steps(STEPS({0, 3, 0}));
	say_next("who needs three, since before who needs two");
	do_steps(STEPS({0, 1, 0}));
	ipc_pause(20);
	tell("none needs one", "%d", semctl(id, 0, GETNCNT));
	do_steps(STEPS({0, 5, 0}));
	await_child(pids[0]);
	await_child(pids[2]);
	for (int i = 1; i < TURNS; i += 2)
		await_child(pids[i]);
	say_values("all done");
	end();
}

static void ask_zero_first(void)
{
	pid_t pid, other;

	begin(1, 0, 0);
	pid = start(STEPS({0, 0, 0}, {1, 1, 0}));
	other = start(STEPS({0, 0, 0}, {1, 1, 0}));
	say_waiting("two wait for zero");
	do_steps(STEPS({0, -1, 0}));
	tell("one", "%s", ipc_end_of(pid));
	tell("the other", "%s", ipc_end_of(other));
	say_values("both did");
	pid = start(STEPS({0, -1, 0}));
	other = start(STEPS({0, -1, 0}));
	do_steps(STEPS({0, 2, 0}));
	tell("both of two", "%s", ipc_end_of(pid));
	tell("both of two at once", "%s", ipc_end_of(other));
	say_values("none left");
	end();
}

static void ask_time(void)
{
	struct timespec timeout = {0, 0};
	struct sembuf step = {0, -1, 0};
	struct steps *steps = STEPS({0, -1, 0});
	long begun;

	begin(0, 1, 1);
	ask("no time", semtimedop(id, &step, 1, &timeout));
	begun = ipc_now();
	timeout.tv_nsec = 60000000;
	ask("a little time", semtimedop(id, &step, 1, &timeout));
	ask_whether("it took that", ipc_now() - begun >= 59 && ipc_now() - begun < 2000);
	tell("nobody waits then", "%d", semctl(id, 0, GETNCNT));
	timeout.tv_nsec = 1000000000;
	ask("a second of nanoseconds", semtimedop(id, &step, 1, &timeout));
	timeout.tv_nsec = -1;
	ask("-1 nanosecond", semtimedop(id, &step, 1, &timeout));
	timeout = (struct timespec){-1, 0};
	ask("-1 second", semtimedop(id, &step, 1, &timeout));
	step.sem_num = 1;
	ask("-1 second, nothing to wait for", semtimedop(id, &step, 1, &timeout));
	ask("-1 second, no steps", semtimedop(id, &step, 0, &timeout));
	ask("-1 second, 501 steps", semtimedop(id, &step, 501, &timeout));
	ask("-1 second, id -1", semtimedop(-1, &step, 1, &timeout));
	timeout = (struct timespec){(time_t)1 << (sizeof(time_t) == 8 ? 40 : 30), 0};
	ask("for ever, nothing to wait for", semtimedop(id, &step, 1, &timeout));
	ask("without a time", semtimedop(id, &(struct sembuf){2, -1, 0}, 1, NULL));
	step = (struct sembuf){0, -1, IPC_NOWAIT};
	timeout = (struct timespec){100, 0};
	ask("time, but not waiting", semtimedop(id, &step, 1, &timeout));
	steps->timeout_ms = 20000;
	begun = start(steps);
	do_steps(STEPS({0, 1, 0}));
	tell("in time", "%s", ipc_end_of((pid_t)begun));
	end();
}

/* Is it woken, by what? */
static void ask_signal(const char *what, struct steps *steps, int flags, int number)
{
	pid_t pid;

	steps->handled = flags;
	pid = start(steps);
	kill(pid, number);
	if (number == SIGSTOP) {
		ipc_pause(20);
		kill(pid, SIGCONT);
		ipc_pause(50);
		do_steps(STEPS({0, 1, 0}));
	}
	say("{semop: %s} %s", what, ipc_end_of(pid));
	say("{semop: %s, waiting then} %d", what, semctl(id, 0, GETNCNT) + semctl(id, 1, GETZCNT));
}

static void ask_signals(void)
{
	struct steps *timed = STEPS({0, -1, 0});

	timed->timeout_ms = 20000;
	begin(0, 1, 0);
	ask_signal("a handler", STEPS({0, -1, 0}), 0, SIGUSR1);
	ask_signal("a handler that restarts", STEPS({0, -1, 0}), SA_RESTART, SIGUSR1);
	ask_signal("a handler, for zero", STEPS({1, 0, 0}), 0, SIGUSR1);
	ask_signal("a handler, in time", timed, SA_RESTART, SIGUSR1);
	ask_signal("a signal that kills", STEPS({0, -1, 0}), 0, SIGTERM);
	ask_signal("a kill", STEPS({0, -1, 0}), 0, SIGKILL);
	say_values("nothing was done");
	ask_signal("stopped and continued", STEPS({0, -1, 0}), 0, SIGSTOP);
	say_values("which is one given");
	must(semctl(id, 0, SETVAL, (union semun){.val = 1}) == 0);
	tell("none of them takes it", "%s", do_steps(STEPS({0, -1, IPC_NOWAIT})));
	end();
}

static void block_and_exit(void *argument)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	must(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	signal(SIGUSR2, SIG_IGN);
	_exit(perform(argument));
}

static void ask_other_signals(void)
{
	pid_t pid;

	begin(0, 0, 0);
	pid = ipc_beside(block_and_exit, STEPS({0, -1, 0}));
	ipc_await_asleep(pid);
	kill(pid, SIGUSR1);
	kill(pid, SIGUSR2);
	kill(pid, SIGCHLD);
	ipc_await_asleep(pid);
	tell("blocked and ignored ones, it waits", "%d", semctl(id, 0, GETNCNT));
	do_steps(STEPS({0, 1, 0}));
	tell("blocked and ignored ones", "%s", ipc_end_of(pid));
	end();
}

static void ask_removal(void)
{
	struct semid_ds status;
	pid_t pids[3];

	begin(0, 1, 0);
	pids[0] = start(STEPS({0, -1, 0}));
	pids[1] = start(STEPS({1, 0, 0}));
	pids[2] = start(STEPS({0, -1, 0}, {2, -1, SEM_UNDO}));
	end();
	for (int i = 0; i < 3; i++)
		say("{semop: removed, waiter %d} %s", i, ipc_end_of(pids[i]));
	ask("removed", semctl(id, 0, IPC_STAT, (union semun){.buf = &status}));
}

/* The right to do it is asked for once. */
static void ask_rights(void)
{
	struct semid_ds status;
	pid_t pid;

	begin(0, 0, 0);
	pid = start(STEPS({0, -1, 0}));
	must(semctl(id, 0, IPC_STAT, (union semun){.buf = &status}) == 0);
	status.sem_perm.mode = 0;
	must(semctl(id, 0, IPC_SET, (union semun){.buf = &status}) == 0);
	status.sem_perm.mode = 0600;
	must(semctl(id, 0, IPC_SET, (union semun){.buf = &status}) == 0);
	do_steps(STEPS({0, 1, 0}));
	tell("rights taken and given meanwhile", "%s", ipc_end_of(pid));
	end();
}

static void *wait_in_thread(void *argument)
{
	return perform(argument) ? (void *)1 : NULL;
}

static void ask_threads(void)
{
	enum { THREADS = 6 };
	pthread_t threads[THREADS];
	void *wrong;
	int count = 0;

	begin(0, 0, 0);
	for (int i = 0; i < THREADS; i++)
		must(pthread_create(&threads[i], NULL, wait_in_thread, STEPS({0, -1, 0})) == 0);
	while (semctl(id, 0, GETNCNT) != THREADS)
		ipc_pause(5);
	tell("threads wait", "%d", semctl(id, 0, GETNCNT));
	do_steps(STEPS({0, THREADS, 0}));
	for (int i = 0; i < THREADS; i++) {
		must(pthread_join(threads[i], &wrong) == 0);
		count += !wrong;
	}
	tell("threads went on", "%d", count);
	say_values("by threads");
	end();
}

static void play(void *argument)
{
	int from = *(int *)argument;

	for (int i = 0; i < 300; i++) {
		struct sembuf take = {(unsigned short)from, -1, 0};
		struct sembuf give = {(unsigned short)(1 - from), 1, 0};

		must(semop(id, &take, 1) == 0 && semop(id, &give, 1) == 0);
	}
}

static void ask_games(void)
{
	pid_t pid;

	begin(1, 0, 0);
	pid = ipc_beside(play, &(int){0});
	play(&(int){1});
	tell("ping-pong", "%s", ipc_end_of(pid));
	say_values("the ball");
	end();
}

/* Who is seen to wait is interrupted by what comes then, however soon that is. */
static void ask_counted(void)
{
	struct steps steps = {.all = {{0, -1, 0}}, .count = 1, .timeout_ms = 5000, .handled = 0};
	int interrupted = 0;

	begin(0, 0, 0);
	for (int i = 0; i < COUNTED; i++) {
		pid_t pid = ipc_beside(perform_and_exit, &steps);

		while (semctl(id, 0, GETNCNT) == 0)
			;
		kill(pid, SIGUSR1);
		interrupted += strcmp(ipc_end_of(pid), "EINTR") == 0;
	}
	tell("interrupted when counted", "%d", interrupted);
	end();
}

static const struct ipc_group groups[] = {
	{"simple", ask_simple},   {"arrays", ask_arrays},   {"order", ask_order},
	{"zero", ask_zero_first}, {"time", ask_time},       {"signals", ask_signals},
	{"others", ask_other_signals}, {"removal", ask_removal}, {"rights", ask_rights},
	{"threads", ask_threads}, {"games", ask_games},     {"counted", ask_counted},
	{NULL, NULL},
};

static void body(void)
{
	ipc_run(groups);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
