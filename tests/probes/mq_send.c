/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mq_send, mq_receive and the timed ones: order, waiting, what ends it; poll and its kin. */
#define FAMILY "mq"
#include "tests/probes/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>

#define NAME "/queue"

enum { SIZE = 32, DEPTH = 4 };

static mqd_t queue;
static char *heard;

static void begin(long depth)
{
	struct mq_attr attributes = {.mq_maxmsg = depth, .mq_msgsize = SIZE};

	queue = mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
	heard = heard ? heard : shared_memory(128);
	must(queue >= 0);
}

static void end(void)
{
	must(mq_close(queue) == 0 && mq_unlink(NAME) == 0);
}

static const struct timespec past = {1, 0}, begin_of_time = {0, 0};

static int put(const char *text, unsigned priority)
{
	return mq_timedsend(queue, text, strlen(text), priority, &past);
}

/* What is there, without waiting. Not to be kept: one of four. */
static const char *take(void)
{
	static char texts[4][80];
	static unsigned next;
	char *told = texts[next++ % 4], text[SIZE + 1] = "";
	unsigned priority = 77;
	ssize_t size = mq_timedreceive(queue, text, SIZE, &priority, &past);

	if (size < 0)
		return outcome(-1);
	snprintf(told, sizeof texts[0], "%s, %ld, priority %u", text, (long)size, priority);
	return told;
}

static long count(void)
{
	struct mq_attr attributes = {0};

	must(mq_getattr(queue, &attributes) == 0);
	return attributes.mq_curmsgs;
}

static void fill(void)
{
	while (put("filling", 1) == 0)
		;
	must(errno == ETIMEDOUT);
}

static void empty(void)
{
	char text[SIZE];

	while (mq_timedreceive(queue, text, SIZE, NULL, &past) >= 0)
		;
	must(errno == ETIMEDOUT);
}

static void ask_order(void)
{
	static const unsigned priorities[] = {3, 0, 32767, 3, 9, 0, 1, 9};
	char text[8];

	begin(10);
	for (int i = 0; i < 8; i++) {
		snprintf(text, sizeof text, "%c", 'a' + i);
		must(put(text, priorities[i]) == 0);
	}
	tell("there", "%ld", count());
	for (int i = 0; i < 9; i++)
		tell("taken", "%s", take());
	end();
}

static void ask_sizes(void)
{
	char text[SIZE + 2];
	unsigned priority = 5;

	begin(DEPTH);
	memset(text, 's', sizeof text);
	ask("nothing", mq_send(queue, "", 0, 0));
	ask("the most", mq_send(queue, text, SIZE, 0));
	ask("more", mq_send(queue, text, SIZE + 1, 0));
	ask("far more", mq_send(queue, text, SIZE_MAX, 0));
	ask("priority 32767", mq_send(queue, "p", 1, 32767));
	ask("priority 32768", mq_send(queue, "p", 1, 32768));
	ask("priority UINT_MAX", mq_send(queue, "p", 1, UINT_MAX));
	ask("priority and size", mq_send(queue, text, SIZE + 1, 32768));
	tell("there", "%ld", count());
	ask("too little room", mq_receive(queue, text, SIZE - 1, &priority));
	ask("no room", mq_receive(queue, text, 0, &priority));
	tell("priority untouched", "%u", priority);
	ask_value("room", mq_receive(queue, text, SIZE, &priority));
	tell("priority", "%u", priority);
	ask_value("more room, no priority", mq_receive(queue, text, SIZE + 2, NULL));
	ask_value("the most", mq_receive(queue, text, SIZE, NULL));
	tell("there then", "%ld", count());
	ask("too little room, nothing there", mq_receive(queue, text, SIZE - 1, NULL));
	end();
}

static void ask_nonblock(void)
{
	struct mq_attr attributes = {.mq_flags = O_NONBLOCK};
	struct timespec soon;
	char text[SIZE];

	begin(DEPTH);
	must(mq_setattr(queue, &attributes, NULL) == 0);
	ask("receive", mq_receive(queue, text, SIZE, NULL));
	soon = ipc_in(CLOCK_REALTIME, 30000);
	ask("timed receive", mq_timedreceive(queue, text, SIZE, NULL, &soon));
	ask("receive by a past time", mq_timedreceive(queue, text, SIZE, NULL, &past));
	for (int i = 0; i < DEPTH; i++)
		ask("send", mq_send(queue, "x", 1, 0));
	ask("send to a full one", mq_send(queue, "x", 1, 0));
	ask("timed send", mq_timedsend(queue, "x", 1, 0, &soon));
	ask("too little room", mq_receive(queue, text, 1, NULL));
	ask_value("receive what is there", mq_receive(queue, text, SIZE, NULL));
	end();
}

static void ask_time(void)
{
	static const struct timespec bad[] = {{5, -1}, {5, 1000000000}, {-1, 0}, {-1, -1}};
	struct timespec soon;
	char text[SIZE];
	long begun;

	begin(DEPTH);
	ask("receive by a past time", mq_timedreceive(queue, text, SIZE, NULL, &past));
	ask("receive by the begin", mq_timedreceive(queue, text, SIZE, NULL, &begin_of_time));
	begun = ipc_now();
	soon = ipc_in(CLOCK_REALTIME, 60);
	ask("receive in a moment", mq_timedreceive(queue, text, SIZE, NULL, &soon));
	ask_whether("it took that", ipc_now() - begun >= 58 && ipc_now() - begun < 2000);
	for (int i = 0; i < 4; i++) {
		ask("receive by a bad time", mq_timedreceive(queue, text, SIZE, NULL, &bad[i]));
		ask("send by a bad time", mq_timedsend(queue, "x", 1, 0, &bad[i]));
		must(put("there", 0) == 0);
		ask("receive what is there", mq_timedreceive(queue, text, SIZE, NULL, &bad[i]));
		empty();
	}
	ask("bad time, bad descriptor", mq_timedsend(-1, "x", 1, 0, &bad[0]));
	ask("bad time, bad priority", mq_timedsend(queue, "x", 1, 32768, &bad[0]));
	ask("bad time, too long", mq_timedsend(queue, text, SIZE + 1, 0, &bad[0]));
	ask("past time, too long", mq_timedsend(queue, text, SIZE + 1, 0, &past));
	ask("send by a past time", mq_timedsend(queue, "x", 1, 0, &past));
	ask_value("receive by a past time", mq_timedreceive(queue, text, SIZE, NULL, &past));
	fill();
	begun = ipc_now();
	soon = ipc_in(CLOCK_REALTIME, 60);
	ask("send in a moment", mq_timedsend(queue, "x", 1, 0, &soon));
	ask_whether("it took that, too", ipc_now() - begun >= 58 && ipc_now() - begun < 2000);
	tell("there", "%ld", count());
	end();
}

/* A call of a child's, or a thread's. */
struct call {
	bool sends;
	long within_ms; /* 0: for ever */
	int number;
	enum handling { UNHANDLED, HANDLED, RESTARTED } handling; /* of SIGUSR1 */
};

#define RECEIVE(...) (&(struct call){.sends = false, __VA_ARGS__})
#define SEND(...) (&(struct call){.sends = true, __VA_ARGS__})

static int perform(const struct call *call)
{
	struct timespec until = ipc_in(CLOCK_REALTIME, call->within_ms);
	char text[SIZE + 1] = "sent";
	unsigned priority = 2;
	ssize_t result;

	if (call->sends && call->within_ms)
		result = mq_timedsend(queue, text, 4, 2, &until);
	else if (call->sends)
		result = mq_send(queue, text, 4, 2);
	else if (call->within_ms)
		result = mq_timedreceive(queue, text, SIZE, &priority, &until);
	else
		result = mq_receive(queue, text, SIZE, &priority);
	if (!call->sends && result >= 0)
		sprintf(heard, "%.*s, priority %u", (int)result, text, priority);
	return result < 0 ? errno : 0;
}

static void perform_and_exit(void *argument)
{
	const struct call *call = argument;

	if (call->handling != UNHANDLED)
		ipc_handle(SIGUSR1, call->handling == RESTARTED ? SA_RESTART : 0);
	_exit(perform(call));
}

static pid_t start(struct call *call)
{
	pid_t pid = ipc_beside(perform_and_exit, call);

	ipc_await_asleep(pid);
	return pid;
}

static void ask_waiting(void)
{
	pid_t pid;

	begin(DEPTH);
	pid = start(RECEIVE());
	must(put("for who waits", 6) == 0);
	tell("a receiver", "%s: %s", ipc_end_of(pid), heard);
	tell("there", "%ld", count());
	pid = start(RECEIVE(.within_ms = 30000));
	must(put("in time", 0) == 0);
	tell("a timed receiver", "%s: %s", ipc_end_of(pid), heard);
	fill();
	pid = start(SEND());
	tell("there when full", "%ld", count());
	tell("taken", "%s", take());
	tell("a sender", "%s", ipc_end_of(pid));
	tell("taken then", "%s", take());
	fill();
	pid = start(SEND(.within_ms = 30000));
	tell("taken after that", "%s", take());
	tell("a timed sender", "%s", ipc_end_of(pid));
	pid = start(SEND(.within_ms = 60));
	tell("a timed sender in vain", "%s", ipc_end_of(pid));
	tell("there in the end", "%ld", count());
	end();
}

static int turns[2];

static void take_turn(void *argument)
{
	const struct call *call = argument;
	char digit = (char)('0' + call->number);

	must(perform(call) == 0);
	must(write(turns[1], &digit, 1) == 1);
}

static void ask_turns(const char *what, bool sends)
{
	enum { TURNS = 4 };
	pid_t pids[TURNS];
	char digit;

	for (int i = 0; i < TURNS; i++) {
		pids[i] = ipc_beside(take_turn, &(struct call){.sends = sends, .number = i});
		ipc_await_asleep(pids[i]);
	}
	for (int i = 0; i < TURNS; i++) {
		if (sends)
			take();
		else
			must(put("turn", 0) == 0);
		must(read(turns[0], &digit, 1) == 1);
		say("{mq: %s, first come, first served} %c", what, digit);
	}
	for (int i = 0; i < TURNS; i++)
		await_child(pids[i]);
}

static void ask_first_come(void)
{
	begin(DEPTH);
	must(pipe(turns) == 0);
	ask_turns("receivers", false);
	fill();
	ask_turns("senders", true);
	tell("there", "%ld", count());
	end();
}

static void ask_signal(const char *what, struct call *call, int number)
{
	pid_t pid = start(call);

	kill(pid, number);
	if (number == SIGSTOP) {
		ipc_pause(20);
		kill(pid, SIGCONT);
	}
	if (call->handling == RESTARTED || number == SIGSTOP) {
		ipc_await_asleep(pid);
		if (call->sends)
			take();
		else
			must(put("at last", 0) == 0);
	}
	say("{mq: %s} %s", what, ipc_end_of(pid));
}

static void ask_signals(void)
{
	begin(DEPTH);
	ask_signal("receiver, a handler", RECEIVE(.handling = HANDLED), SIGUSR1);
	ask_signal("timed receiver, a handler",
	           RECEIVE(.handling = HANDLED, .within_ms = 30000), SIGUSR1);
	ask_signal("receiver, a handler that restarts", RECEIVE(.handling = RESTARTED), SIGUSR1);
	ask_signal("timed receiver, a handler that restarts",
	           RECEIVE(.handling = RESTARTED, .within_ms = 30000), SIGUSR1);
	ask_signal("receiver, stopped and continued", RECEIVE(), SIGSTOP);
	ask_signal("receiver, a kill", RECEIVE(), SIGKILL);
	must(put("for none of them", 0) == 0);
	ipc_pause(20);
	tell("none of them takes it", "%ld", count());
	fill();
	ask_signal("sender, a handler", SEND(.handling = HANDLED), SIGUSR1);
	ask_signal("timed sender, a handler", SEND(.handling = HANDLED, .within_ms = 30000),
	           SIGUSR1);
	ask_signal("sender, a handler that restarts", SEND(.handling = RESTARTED), SIGUSR1);
	ask_signal("sender, stopped and continued", SEND(), SIGSTOP);
	ask_signal("sender, a kill", SEND(), SIGKILL);
	take();
	ipc_pause(20);
	tell("none of them sends it", "%ld", count());
	end();
}

/* One that waits keeps its queue. */
static void ask_unlinking(void)
{
	pid_t pid;

	begin(DEPTH);
	pid = start(RECEIVE());
	must(mq_unlink(NAME) == 0);
	must(put("unlinked", 1) == 0);
	tell("a receiver of an unlinked one", "%s: %s", ipc_end_of(pid), heard);
	must(mq_close(queue) == 0);
	begin(DEPTH);
	pid = start(RECEIVE());
	ipc_kill(pid);
	tell("a killed one's queue", "%ld", count());
	end();
}

/* By poll, select and epoll: r, w, both or neither. */
static void say_ready(const char *what, int fd, int by_epoll)
{
	struct pollfd one = {.fd = fd, .events = POLLIN | POLLOUT};
	struct epoll_event event = {.events = 0};
	fd_set readable, writable;

	FD_ZERO(&readable);
	FD_ZERO(&writable);
	FD_SET(fd, &readable);
	FD_SET(fd, &writable);
	must(poll(&one, 1, 0) >= 0);
	must(select(fd + 1, &readable, &writable, NULL, &(struct timeval){0}) >= 0);
	must(epoll_wait(by_epoll, &event, 1, 0) >= 0);
	say("{mq: %s} poll %s%s%s, select %s%s, epoll %s%s", what, one.revents & POLLIN ? "r" : "",
	    one.revents & POLLOUT ? "w" : "", one.revents & ~(POLLIN | POLLOUT) ? "?" : "",
	    FD_ISSET(fd, &readable) ? "r" : "", FD_ISSET(fd, &writable) ? "w" : "",
	    event.events & EPOLLIN ? "r" : "", event.events & EPOLLOUT ? "w" : "");
}

static void send_soon(void *argument)
{
	(void)argument;
	ipc_pause(40);
	must(put("soon", 0) == 0);
}

static void ask_ready(void)
{
	struct pollfd one = {.events = POLLIN};
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT};
	int by_epoll = epoll_create1(EPOLL_CLOEXEC);
	pid_t pid;

	begin(DEPTH);
	must(epoll_ctl(by_epoll, EPOLL_CTL_ADD, queue, &event) == 0);
	say_ready("empty", queue, by_epoll);
	must(put("one", 0) == 0);
	say_ready("one there", queue, by_epoll);
	must(put("two", 0) == 0 && put("three", 0) == 0);
	say_ready("three there", queue, by_epoll);
	must(put("four", 0) == 0);
	say_ready("full", queue, by_epoll);
	take();
	say_ready("not full", queue, by_epoll);
	empty();
	say_ready("empty again", queue, by_epoll);
	one.fd = queue;
	tell("in vain", "%d", poll(&one, 1, 30));
	pid = ipc_beside(send_soon, NULL);
	tell("until one comes", "%d", poll(&one, 1, 30000));
	await_child(pid);
	empty();
	pid = start(RECEIVE());
	must(put("at once", 0) == 0);
	await_child(pid);
	say_ready("a receiver was served", queue, by_epoll);
	end();
	begin(1);
	must(epoll_ctl(by_epoll, EPOLL_CTL_ADD, queue, &event) == 0);
	say_ready("of one, empty", queue, by_epoll);
	must(put("one", 0) == 0);
	say_ready("of one, full", queue, by_epoll);
	end();
}

static void ask_halves(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT};
	int by_epoll = epoll_create1(EPOLL_CLOEXEC);
	mqd_t reader, writer;

	begin(1);
	reader = mq_open(NAME, O_RDONLY);
	writer = mq_open(NAME, O_WRONLY);
	must(epoll_ctl(by_epoll, EPOLL_CTL_ADD, reader, &event) == 0);
	say_ready("only receives, empty", reader, by_epoll);
	must(put("one", 0) == 0);
	say_ready("only receives, full", reader, by_epoll);
	must(epoll_ctl(by_epoll, EPOLL_CTL_DEL, reader, NULL) == 0);
	must(epoll_ctl(by_epoll, EPOLL_CTL_ADD, writer, &event) == 0);
	say_ready("only sends, full", writer, by_epoll);
	take();
	say_ready("only sends, empty", writer, by_epoll);
	mq_close(reader);
	mq_close(writer);
	end();
}

static void *receive_in_thread(void *argument)
{
	return perform(argument) ? (void *)1 : NULL;
}

static void ask_threads(void)
{
	enum { THREADS = 6 };
	pthread_t threads[THREADS];
	void *wrong;
	int right = 0;

	begin(DEPTH);
	for (int i = 0; i < THREADS; i++)
		must(pthread_create(&threads[i], NULL, receive_in_thread, RECEIVE()) == 0);
	for (int i = 0; i < THREADS; i++)
		must(mq_send(queue, "x", 1, 0) == 0);
	for (int i = 0; i < THREADS; i++) {
		must(pthread_join(threads[i], &wrong) == 0);
		right += !wrong;
	}
	tell("threads went on", "%d", right);
	tell("there", "%ld", count());
	end();
}

enum { ROUNDS = 500 };

static void produce(void *argument)
{
	int message[2] = {*(int *)argument, 0};

	for (; message[1] < ROUNDS; message[1]++)
		must(mq_send(queue, (char *)message, sizeof message, 3) == 0);
}

static void ask_flow(void)
{
	int message[SIZE / sizeof(int)], next[2] = {0}, wrong = 0;
	pid_t one, other;

	begin(DEPTH);
	one = ipc_beside(produce, &(int){0});
	other = ipc_beside(produce, &(int){1});
	for (int i = 0; i < 2 * ROUNDS; i++) {
		must(mq_receive(queue, (char *)message, SIZE, NULL) == 8);
		wrong += message[1] != next[message[0]]++;
	}
	tell("senders", "%s %s", ipc_end_of(one), ipc_end_of(other));
	tell("flow, wrong", "%d", wrong);
	end();
}

static void ask_pointers(void)
{
	struct timespec *nowhere = (struct timespec *)8;
	char text[SIZE];

	if (IPC_LIBC_READS)
		return;
	begin(DEPTH);
	ask("send from nowhere", mq_send(queue, (char *)8, 5, 0));
	tell("there", "%ld", count());
	ask("receive by a time from nowhere", mq_timedreceive(queue, text, SIZE, NULL, nowhere));
	ask("send by a time from nowhere", mq_timedsend(queue, "x", 1, 0, nowhere));
	ask("send nothing from nowhere", mq_send(queue, (char *)8, 0, 0));
	tell("there then", "%ld", count());
	end();
}

static const struct ipc_group groups[] = {
	{"order", ask_order},     {"sizes", ask_sizes},     {"nonblock", ask_nonblock},
	{"time", ask_time},       {"waiting", ask_waiting}, {"turns", ask_first_come},
	{"signals", ask_signals}, {"unlinking", ask_unlinking}, {"ready", ask_ready},
	{"halves", ask_halves},   {"threads", ask_threads}, {"flow", ask_flow},
	{"pointers", ask_pointers}, {NULL, NULL},
};

static void body(void)
{
	ipc_run(groups);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
