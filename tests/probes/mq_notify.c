/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mq_notify. */
#define FAMILY "notify"
#include "tests/probes/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "/queue"

enum { SIZE = 16, DEPTH = 4, SIGNAL = SIGUSR1 };

static mqd_t queue;
static int told[2];
static const struct timespec past = {1, 0};

static void begin(void)
{
	struct mq_attr attributes = {.mq_maxmsg = DEPTH, .mq_msgsize = SIZE};
	sigset_t set;

	queue = mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
	must(queue >= 0 && pipe2(told, O_CLOEXEC) == 0);
	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	must(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
}

static void end(void)
{
	must(mq_close(queue) == 0 && mq_unlink(NAME) == 0);
	close(told[0]);
	close(told[1]);
}

static int by_signal(int value)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGNAL,
		.sigev_value.sival_int = value,
	};

	return mq_notify(queue, &event);
}

static int by_none(void)
{
	return mq_notify(queue, &(struct sigevent){.sigev_notify = SIGEV_NONE});
}

static int put(const char *text)
{
	return mq_timedsend(queue, text, strlen(text), 0, &past);
}

static void empty(void)
{
	char text[SIZE];

	while (mq_timedreceive(queue, text, SIZE, NULL, &past) >= 0)
		;
}

/* The signal that comes within a time, and what it says. */
static void say_signal(const char *what, long milliseconds, pid_t sender)
{
	struct timespec timeout = {milliseconds / 1000, milliseconds % 1000 * 1000000};
	siginfo_t info;
	sigset_t set;
	int number;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	memset(&info, 0, sizeof info);
	do
		number = sigtimedwait(&set, &info, &timeout);
	while (number < 0 && errno == EINTR);
	if (number < 0)
		say("{notify: %s} %s", what, outcome(-1));
	else
		say("{notify: %s} signal %s, code %d, value %d, sender %d, user %d", what,
		    number == SIGNAL ? "ok" : "?", info.si_code, info.si_value.sival_int,
		    info.si_pid == sender, info.si_uid == getuid());
}

static void put_there(void *argument)
{
	must(put(argument) == 0);
}

static void ask_signal(void)
{
	pid_t child;

	begin();
	ask("register", by_signal(42));
	must(put("one") == 0);
	say_signal("own message", 10000, getpid());
	must(put("two") == 0);
	say_signal("only once", 60, 0);
	ask("register with messages there", by_signal(43));
	must(put("three") == 0);
	say_signal("not while there are some", 60, 0);
	empty();
	child = ipc_beside(put_there, (void *)(uintptr_t)"four");
	await_child(child);
	say_signal("a child's message", 10000, child);
	empty();
	must(put("five") == 0);
	say_signal("over", 60, 0);
	end();
}

static void ask_registering(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGNAL};
	pid_t child;

	begin();
	ask("remove what is not", mq_notify(queue, NULL));
	ask("register", by_signal(1));
	ask("register again", by_signal(2));
	ask("register for none", by_none());
	ask("remove", mq_notify(queue, NULL));
	ask("remove again", mq_notify(queue, NULL));
	must(put("one") == 0);
	say_signal("removed", 60, 0);
	empty();
	ask("for none", by_none());
	ask("for none again", by_none());
	must(put("one") == 0);
	say_signal("for none, nothing comes", 60, 0);
	empty();
	ask("for none once more", by_none());
	ask("remove it", mq_notify(queue, NULL));
	event.sigev_signo = -1;
	ask("signal -1", mq_notify(queue, &event));
	event.sigev_signo = 65;
	ask("signal 65", mq_notify(queue, &event));
	event.sigev_signo = 0;
	ask("signal 0", mq_notify(queue, &event));
	mq_notify(queue, NULL);
	event.sigev_signo = SIGNAL;
	event.sigev_notify = 77;
	ask("of an unknown kind", mq_notify(queue, &event));
	event.sigev_notify = SIGEV_THREAD_ID;
	ask("for one thread", mq_notify(queue, &event));
	ask("no descriptor", mq_notify(-1, &event));
	event.sigev_notify = SIGEV_SIGNAL;
	ask("no descriptor, a signal", mq_notify(-1, &event));
	ask("no descriptor, removing", mq_notify(-1, NULL));
	ask("standard input", mq_notify(0, &event));
	ask("in the end", by_signal(3));
	child = ipc_beside(put_there, (void *)(uintptr_t)"six");
	await_child(child);
	say_signal("the last registration", 10000, child);
	end();
}

static void ask_halves(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGNAL};
	mqd_t writer, reader;

	begin();
	writer = mq_open(NAME, O_WRONLY);
	reader = mq_open(NAME, O_RDONLY);
	ask("by one that only sends", mq_notify(writer, &event));
	ask("by one that only receives", mq_notify(reader, &event));
	mq_close(writer);
	must(put("one") == 0);
	say_signal("another was closed", 60, 0);
	empty();
	ask("by it again", mq_notify(reader, &event));
	mq_close(reader);
	ask("after its close, by the first", by_signal(4));
	must(put("two") == 0);
	say_signal("then", 10000, getpid());
	end();
}

static void register_here(void *argument)
{
	(void)argument;
	tell("a child registers", "%s", outcome(by_signal(9)));
}

static void register_and_stay(void *argument)
{
	register_here(argument);
	must(write(told[1], "x", 1) == 1);
	pause();
}

static void ask_busy(void)
{
	char byte;
	pid_t child;

	begin();
	ask("register", by_signal(1));
	in_child(register_here, NULL);
	ask("remove", mq_notify(queue, NULL));
	in_child(register_here, NULL);
	ask("the child is gone, register", by_signal(2));
	ask("remove then", mq_notify(queue, NULL));
	child = ipc_beside(register_and_stay, NULL);
	must(read(told[0], &byte, 1) == 1);
	ask("while a child has it", by_signal(3));
	ask("remove another's", mq_notify(queue, NULL));
	ask("it stays another's", by_signal(3));
	ipc_kill(child);
	ask("the child was killed", by_signal(4));
	must(put("one") == 0);
	say_signal("then", 10000, getpid());
	end();
}

static void exec_there(void *argument)
{
	(void)argument;
	must(by_signal(5) == 0);
	must(dup2(told[1], STDOUT_FILENO) >= 0);
	execl("/bin/sh", "sh", "-c", "printf x; sleep 30", NULL);
}

/* A registration is its process's as long as that has the queue open. */
static void ask_ends(void)
{
	char byte;
	pid_t child;

	begin();
	child = ipc_beside(exec_there, NULL);
	must(read(told[0], &byte, 1) == 1);
	ask("a child runs another program", by_signal(6));
	ipc_kill(child);
	mq_notify(queue, NULL);
	ask("register", by_signal(7));
	must(mq_close(dup(queue)) == 0);
	ask("a duplicate was closed", by_signal(8));
	mq_notify(queue, NULL);
	end();
}

static void receive(void *argument)
{
	char text[SIZE + 1] = "";
	ssize_t size = mq_receive(queue, text, SIZE, NULL);

	(void)argument;
	tell("who waits receives", "%s %s", ipc_value(size), text);
}

static void ask_receiver(void)
{
	pid_t child;

	begin();
	ask("register", by_signal(1));
	child = ipc_beside(receive, NULL);
	ipc_await_asleep(child);
	must(put("waited for") == 0);
	await_child(child);
	say_signal("not when a receiver waits", 60, 0);
	ask("still registered", by_signal(2));
	must(put("one") == 0);
	say_signal("the next one", 10000, getpid());
	end();
}

static void do_nothing(void *argument)
{
	(void)argument;
}

static void register_in_child(void *argument)
{
	(void)argument;
	must(put("child's") == 0);
	say_signal("not the child's", 60, 0);
}

static void ask_fork(void)
{
	pid_t child;

	begin();
	ask("register", by_signal(11));
	child = ipc_beside(register_in_child, NULL);
	await_child(child);
	say_signal("but the parent's", 10000, child);
	empty();
	ask("register again", by_signal(12));
	must(in_child(do_nothing, NULL) == 0);
	must(put("one") == 0);
	say_signal("a child that exits ends nothing", 10000, getpid());
	end();
}

static int rung[2];
static pthread_t main_thread;

static void ring(union sigval value)
{
	int told_value = value.sival_int + (pthread_equal(pthread_self(), main_thread) ? 1000 : 0);

	must(write(rung[1], &told_value, sizeof told_value) == sizeof told_value);
}

static int by_thread(int value)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD,
		.sigev_notify_function = ring,
		.sigev_value.sival_int = value,
	};

	return mq_notify(queue, &event);
}

static int hear_ring(void)
{
	int value = -1;

	must(read(rung[0], &value, sizeof value) == sizeof value);
	return value;
}

static void ask_thread(void)
{
	int flags;

	begin();
	main_thread = pthread_self();
	must(pipe(rung) == 0);
	ask("by a thread", by_thread(21));
	ask("by a thread again", by_thread(22));
	must(put("one") == 0);
	tell("it runs", "%d", hear_ring());
	empty();
	must(put("two") == 0);
	ipc_pause(50);
	flags = fcntl(rung[0], F_GETFL);
	must(fcntl(rung[0], F_SETFL, flags | O_NONBLOCK) == 0);
	ask("only once", read(rung[0], &flags, sizeof flags));
	must(fcntl(rung[0], F_SETFL, 0) == 0);
	empty();
	for (int i = 0; i < 20; i++) {
		must(by_thread(100 + i) == 0 && put("again") == 0);
		must(hear_ring() == 100 + i);
		empty();
	}
	tell("twenty times", "%s", "ok");
	ask("once more", by_thread(23));
	ask("removed", mq_notify(queue, NULL));
	must(put("three") == 0);
	ask("free for others", by_signal(24));
	in_child(put_there, (void *)(uintptr_t)"four");
	end();
}

static volatile sig_atomic_t handled_value;

static void handle(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	handled_value = info->si_value.sival_int;
}

/* To a handler, at a thread that does something else. */
static void ask_handler(void)
{
	struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
	sigset_t set;

	begin();
	must(sigaction(SIGNAL, &action, NULL) == 0);
	sigemptyset(&set);
	must(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
	ask("register", by_signal(31));
	must(put("one") == 0);
	for (int i = 0; i < 1000 && handled_value != 31; i++)
		ipc_pause(5);
	tell("handled", "%d", handled_value);
	end();
}

static void ask_unlinked(void)
{
	begin();
	must(by_signal(41) == 0);
	must(mq_unlink(NAME) == 0);
	must(put("one") == 0);
	say_signal("unlinked", 10000, getpid());
	must(mq_close(queue) == 0);
}

static const struct ipc_group groups[] = {
	{"signal", ask_signal}, {"registering", ask_registering}, {"halves", ask_halves},
	{"busy", ask_busy},     {"ends", ask_ends},               {"receiver", ask_receiver},
	{"fork", ask_fork},     {"thread", ask_thread},           {"handler", ask_handler},
	{"unlinked", ask_unlinked}, {NULL, NULL},
};

static void body(void)
{
	ipc_run(groups);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
