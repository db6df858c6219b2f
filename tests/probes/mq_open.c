/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mq_open, mq_close, mq_unlink, mq_getattr and mq_setattr; and the descriptor, which is one like
 * others. */
#define FAMILY "mq"
#include "tests/probes/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/probes/helper.h"

#define NAME "/queue"

enum { ROOM = 8192, CREATE = O_RDWR | O_CREAT | O_EXCL };

static mqd_t make(long count, long size)
{
	struct mq_attr attributes = {.mq_maxmsg = count, .mq_msgsize = size};
	mqd_t queue = mq_open(NAME, CREATE, 0600, &attributes);

	must(queue >= 0);
	return queue;
}

static void drop(mqd_t queue)
{
	must(mq_close(queue) == 0 && mq_unlink(NAME) == 0);
}

static const char *try_queue(const char *name, int flags)
{
	mqd_t queue = mq_open(name, flags, 0600, NULL);
	const char *result = outcome(queue);

	if (queue >= 0)
		must(mq_close(queue) == 0);
	return result;
}

static void say_attributes(const char *what, mqd_t queue)
{
	struct mq_attr found = {0};

	if (mq_getattr(queue, &found) < 0)
		say("{mq: %s} %s", what, outcome(-1));
	else
		say("{mq: %s} flags %lo, %ld messages of %ld, %ld there", what, found.mq_flags,
		    found.mq_maxmsg, found.mq_msgsize, found.mq_curmsgs);
}

/* Without waiting. */
static const char *receive(mqd_t queue)
{
	static const struct timespec past = {1, 0};
	char text[ROOM];

	return ipc_value(mq_timedreceive(queue, text, sizeof text, NULL, &past));
}

static void ask_name(const char *label, const char *name)
{
	say("{mq: name %s} open %s", label, try_queue(name, O_RDONLY));
	say("{mq: name %s} create %s", label, try_queue(name, CREATE));
	say("{mq: name %s} unlink %s", label, outcome(mq_unlink(name)));
}

static void ask_names(void)
{
	static const char *const names[] = {
		"",     "/",    "//",      "queue",       "/a/b",  "/a/",   "//a", "/.", "/..",
		"/...", "/a b", "/\n",     "/\xc3\xa4",   "/-",    "/*",    "a/b", "/../a",
	};
	char name[NAME_MAX + 4];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		mqd_t queue = mq_open(names[i], CREATE, 0600, NULL);

		say("{mq: name %zu} create %s", i, outcome(queue));
		if (queue >= 0)
			mq_close(queue);
		say("{mq: name %zu} open %s", i, try_queue(names[i], O_RDONLY));
		say("{mq: name %zu} unlink %s", i, outcome(mq_unlink(names[i])));
	}
	memset(name, 'n', sizeof name);
	name[0] = '/';
	name[NAME_MAX + 1] = '\0';
	ask_name("of 255", name);
	name[NAME_MAX + 1] = 'n';
	name[NAME_MAX + 2] = '\0';
	ask_name("of 256", name);
}

static void ask_flags(void)
{
	static const int flags[] = {
		O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_WRONLY, O_EXCL, O_CREAT, O_CREAT | O_EXCL,
		O_CREAT | O_RDWR, O_RDWR | O_NONBLOCK, O_RDWR | O_TRUNC, O_RDWR | O_CLOEXEC,
	};

	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		mqd_t queue;

		say("{mq: missing, flags %o} %s", flags[i], try_queue(NAME, flags[i]));
		mq_unlink(NAME);
		must(mq_close(make(3, 10)) == 0);
		queue = mq_open(NAME, flags[i], 0600, NULL);
		say("{mq: there, flags %o} %s", flags[i], outcome(queue));
		if (queue >= 0) {
			say_attributes("its attributes", queue);
			tell("send", "%s", outcome(mq_send(queue, "x", 1, 0)));
			tell("receive", "%s", receive(queue));
			tell("flags of the descriptor", "%o",
			     fcntl(queue, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
			tell("close-on-exec", "%d", fcntl(queue, F_GETFD));
			mq_close(queue);
		}
		must(mq_unlink(NAME) == 0);
	}
}

static void ask_modes(void)
{
	static const mode_t masks[] = {0, 022, 0377};
	static const mode_t modes[] = {0600, 0400, 0200, 0000, 0666, 0100, 0060};

	for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++)
		for (size_t j = 0; j < sizeof modes / sizeof modes[0]; j++) {
			mqd_t queue;

			umask(masks[i]);
			queue = mq_open(NAME, CREATE, modes[j], NULL);
			say("{mq: umask %o, mode %o} %s, then %s %s %s, created %s", masks[i],
			    modes[j],
			    outcome(queue), try_queue(NAME, O_RDONLY), try_queue(NAME, O_WRONLY),
			    try_queue(NAME, O_RDWR), try_queue(NAME, O_RDWR | O_CREAT));
			drop(queue);
		}
	umask(022);
}

static void ask_attributes(void)
{
	static const long pairs[][2] = {
		{0, 10},  {10, 0},    {-1, 10},   {10, -1},    {1, 1},       {10, 8192},
		{10, LONG_MAX}, {LONG_MAX, 10}, {70000, 10}, {10, 20000000}, {65537, 8192},
	};
	struct mq_attr attributes;
	mqd_t queue;

	queue = mq_open(NAME, CREATE, 0600, NULL);
	say_attributes("none asked", queue);
	drop(queue);
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		attributes = (struct mq_attr){
			.mq_maxmsg = pairs[i][0],
			.mq_msgsize = pairs[i][1],
			.mq_flags = O_NONBLOCK,
			.mq_curmsgs = 5,
		};
		queue = mq_open(NAME, CREATE, 0600, &attributes);
		say("{mq: attributes %ld, %ld} %s", pairs[i][0], pairs[i][1], outcome(queue));
		if (queue >= 0) {
			say_attributes("attributes as asked", queue);
			drop(queue);
		}
	}
	queue = make(4, 20);
	attributes = (struct mq_attr){.mq_maxmsg = 5, .mq_msgsize = 0};
	must(mq_close(queue) == 0);
	queue = mq_open(NAME, O_RDWR | O_CREAT, 0600, &attributes);
	ask("wrong ones for what is there", queue);
	say_attributes("as they were", queue);
	drop(queue);
	ask("attributes from nowhere", mq_open(NAME, CREATE, 0600, (struct mq_attr *)8));
	attributes = (struct mq_attr){.mq_maxmsg = 11, .mq_msgsize = 8192};
	queue = mq_open(NAME, CREATE, 0600, &attributes);
	ask("eleven messages", queue);
	if (queue >= 0)
		drop(queue);
	attributes = (struct mq_attr){.mq_maxmsg = 10, .mq_msgsize = 8193};
	queue = mq_open(NAME, CREATE, 0600, &attributes);
	ask("8193 bytes", queue);
	if (queue >= 0)
		drop(queue);
}

static void ask_setting(void)
{
	struct mq_attr attributes = {.mq_flags = O_NONBLOCK, .mq_maxmsg = 9, .mq_curmsgs = 3};
	struct mq_attr old = {0};
	mqd_t queue = make(2, 10), other = mq_open(NAME, O_RDWR);

	ask("set not waiting", mq_setattr(queue, &attributes, &old));
	tell("old", "%lo %ld %ld %ld", old.mq_flags, old.mq_maxmsg, old.mq_msgsize, old.mq_curmsgs);
	say_attributes("then", queue);
	say_attributes("another descriptor", other);
	tell("by fcntl", "%o", fcntl(queue, F_GETFL) & O_NONBLOCK);
	ask("receive", mq_receive(queue, (char[10]){0}, 10, NULL));
	attributes.mq_flags = 0;
	ask("set waiting", mq_setattr(queue, &attributes, NULL));
	say_attributes("waiting", queue);
	must(fcntl(queue, F_SETFL, O_NONBLOCK) == 0);
	say_attributes("set by fcntl", queue);
	ask("receive again", mq_receive(queue, (char[10]){0}, 10, NULL));
	attributes.mq_flags = O_NONBLOCK | O_APPEND;
	ask("set other flags", mq_setattr(queue, &attributes, NULL));
	attributes.mq_flags = -1;
	ask("set all flags", mq_setattr(queue, &attributes, NULL));
	ask("get into nowhere", mq_getattr(queue, (struct mq_attr *)8));
	say_attributes("in the end", queue);
	must(mq_close(other) == 0);
	drop(queue);
}

static void ask_not_queues(void)
{
	int pipes[2], file = open("/dev/null", O_RDWR);
	int none[] = {-1, 9999, -1, -1, -1};
	char text[16];

	must(pipe(pipes) == 0);
	none[2] = file;
	none[3] = pipes[0];
	none[4] = pipes[1];
	must(write(pipes[1], "unread", 6) == 6);
	for (int i = 0; i < 5; i++) {
		say("{mq: no queue %d} %s %s %s %s %s", i,
		    outcome(mq_send(none[i], "x", 1, 0)),
		    outcome(mq_receive(none[i], text, 16, NULL)),
		    outcome(mq_getattr(none[i], &(struct mq_attr){0})),
		    outcome(mq_setattr(none[i], &(struct mq_attr){0}, NULL)),
		    outcome(mq_notify(none[i], NULL)));
	}
	ask("close nothing", mq_close(-1));
	ask("close a file", mq_close(file));
	tell("what is in the pipe", "%ld", (long)read(pipes[0], text, sizeof text));
}

static void ask_closing(void)
{
	mqd_t queue = make(2, 10), other = dup(queue), third;
	char text[10];

	ask("send", mq_send(queue, "one", 3, 0));
	ask("close by close", close(queue));
	ask("send then", mq_send(queue, "two", 3, 0));
	ask("close then", mq_close(queue));
	ask_value("receive by another", mq_receive(other, text, 10, NULL));
	must(dup2(other, 77) == 77);
	ask("send by number 77", mq_send(77, "77", 2, 0));
	ask("close 77", mq_close(77));
	ask_value("and receive", mq_receive(other, text, 10, NULL));
	third = mq_open(NAME, O_RDONLY);
	ask_whether("a number that is free", third >= 0 && third != other);
	ask("send by one that only receives", mq_send(third, "x", 1, 0));
	mq_close(third);
	third = mq_open(NAME, O_WRONLY);
	ask("receive by one that only sends", mq_receive(third, text, 10, NULL));
	mq_close(third);
	third = fcntl(other, F_DUPFD_CLOEXEC, 200);
	ask_value("duplicated from 200 on", third);
	must(close(third) == 0);
	drop(other);
}

static void ask_unlinking(void)
{
	char text[10] = "";
	mqd_t queue = make(2, 10), other;

	ask("send", mq_send(queue, "old", 3, 0));
	ask("unlink", mq_unlink(NAME));
	ask("unlink again", mq_unlink(NAME));
	tell("open then", "%s", try_queue(NAME, O_RDWR));
	say_attributes("unlinked", queue);
	ask("send then", mq_send(queue, "older", 5, 1));
	other = make(3, 10);
	say_attributes("a new one", other);
	ask_value("receive", mq_receive(queue, text, 10, NULL));
	tell("that", "%s", text);
	ask("into the new one", mq_send(other, "new", 3, 0));
	say_attributes("the old one", queue);
	must(mq_close(queue) == 0);
	say_attributes("the new one", other);
	drop(other);
	queue = make(2, 10);
	ask("left alone", mq_send(queue, "left", 4, 0));
	must(mq_close(queue) == 0);
	queue = mq_open(NAME, O_RDWR);
	ask_value("and found again", mq_receive(queue, text, 10, NULL));
	drop(queue);
}

/* A child that has only the descriptor. */
static void receive_in_child(void *argument)
{
	char text[10] = "";
	long size = mq_receive(*(mqd_t *)argument, text, 10, NULL);

	tell("in a child", "%s %s", ipc_value(size), text);
	tell("a child sends", "%s", outcome(mq_send(*(mqd_t *)argument, "child's", 7, 0)));
}

static void receive_passed(void *argument)
{
	char text[10] = "";
	int fd = helper_receive_fd(*(int *)argument);
	long size = mq_receive(fd, text, 10, NULL);

	tell("passed to a child", "%s %s", ipc_value(size), text);
	say_attributes("passed, its attributes", fd);
}

static void become(void *argument)
{
	char number[16];

	snprintf(number, sizeof number, "%d", *(mqd_t *)argument);
	execl("/proc/self/exe", "mq_open", "--after-exec", number, NULL);
	_exit(99);
}

static int after_exec(const char *number)
{
	char text[10] = "";
	mqd_t queue = atoi(number);
	long size = mq_receive(queue, text, 10, NULL);

	if (size < 0)
		return errno;
	if (strcmp(text, "through") != 0 || mq_send(queue, "back", 4, 0) != 0)
		return 98;
	return 0;
}

static void ask_passing(void)
{
	char text[10] = "";
	int ends[2], status;
	mqd_t queue = make(2, 10);
	pid_t pid;

	ask("send", mq_send(queue, "parent's", 8, 0));
	must(in_child(receive_in_child, &queue) == 0);
	ask_value("receive", mq_receive(queue, text, 10, NULL));
	tell("that", "%s", text);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	pid = ipc_beside(receive_passed, &ends[1]);
	ask("send then", mq_send(queue, "passed", 6, 0));
	must(helper_send_fd(ends[0], queue) == 0 && await_child(pid) == 0);
	ask("send once more", mq_send(queue, "through", 7, 0));
	status = in_child(become, &queue);
	tell("closed on exec", "%s", status ? strerrorname_np(status) : "ok");
	must(fcntl(queue, F_SETFD, 0) == 0);
	status = in_child(become, &queue);
	tell("kept on exec", "%s", status ? strerrorname_np(status) : "ok");
	ask_value("receive what it sent", mq_receive(queue, text, 10, NULL));
	must(fcntl(queue, F_SETFL, O_NONBLOCK) == 0);
	pid = ipc_beside(receive_in_child, &queue);
	await_child(pid);
	drop(queue);
}

static void ask_limits(void)
{
	static const struct rlimit none = {0, 0}, few = {40, 40};
	struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 1};
	mqd_t queue = -1;
	char name[24];
	int count = 0;

	for (; count < 300; count++) {
		snprintf(name, sizeof name, "/small-%d", count);
		queue = mq_open(name, CREATE, 0600, &attributes);
		if (queue < 0)
			break;
		mq_close(queue);
	}
	tell("small ones", "%d %s", count, outcome(queue));
	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof name, "/small-%d", i);
		must(mq_unlink(name) == 0);
	}
	must(setrlimit(RLIMIT_NOFILE, &few) == 0);
	queue = make(1, 1);
	for (count = 0; count < 100 && mq_open(NAME, O_RDWR) >= 0; count++)
		;
	ask("no descriptor free", mq_open(NAME, O_RDWR));
	close(39);
	ask("one free", mq_open(NAME, O_RDWR));
	drop(queue);
	must(setrlimit(RLIMIT_MSGQUEUE, &none) == 0);
	queue = mq_open(NAME, CREATE, 0600, &attributes);
	ask("no bytes allowed", queue);
	mq_unlink(NAME);
}

static const struct ipc_group groups[] = {
	{"names", ask_names},     {"flags", ask_flags},     {"modes", ask_modes},
	{"attributes", ask_attributes}, {"setting", ask_setting}, {"others", ask_not_queues},
	{"closing", ask_closing}, {"unlinking", ask_unlinking}, {"passing", ask_passing},
	{"limits", ask_limits},   {NULL, NULL},
};

static void body(void)
{
	ipc_run(groups);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--after-exec") == 0)
		return after_exec(argv[2]);
	return probe_run(argc, argv, body);
}
