/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* msgsnd and msgrcv that wait: who goes on, and what ends it. */
#define FAMILY "msg"
#include "tests/probes/ipc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <unistd.h>

enum { ROOM = 8192 };

struct message {
	long type;
	char text[ROOM];
};

/* A call of a child's. */
struct call {
	bool sends;
	long type;
	size_t size;
	int flags;
	enum handling { UNHANDLED, HANDLED, RESTARTED } handling; /* of SIGUSR1 */
};

#define RECEIVE(...) (&(struct call){.sends = false, __VA_ARGS__})
#define SEND(...) (&(struct call){.sends = true, __VA_ARGS__})

static int id;
static char *heard; /* the last message that a child took */

static void begin(void)
{
	id = msgget(IPC_PRIVATE, 0600);
	heard = heard ? heard : shared_memory(ROOM + 32);
	must(id >= 0);
}

static void end(void)
{
	must(msgctl(id, IPC_RMID, NULL) == 0);
}

static struct msqid_ds stat_of(void)
{
	struct msqid_ds status = {.msg_qnum = 0};

	must(msgctl(id, IPC_STAT, &status) == 0);
	return status;
}

static int put(long type, const char *text)
{
	struct message message = {.type = type};

	strcpy(message.text, text);
	return msgsnd(id, &message, strlen(text), IPC_NOWAIT);
}

static void fill(void)
{
	struct message message = {.type = 9};

	memset(message.text, 'f', ROOM);
	must(msgsnd(id, &message, ROOM, IPC_NOWAIT) == 0);
	must(msgsnd(id, &message, ROOM, IPC_NOWAIT) == 0);
}

/* The type of what is taken, or the errno. */
static const char *take(long type)
{
	struct message message = {.type = -1};
	ssize_t size = msgrcv(id, &message, ROOM, type, IPC_NOWAIT);

	return ipc_value(size < 0 ? -1 : message.type);
}

static int perform(const struct call *call)
{
	struct message message = {.type = call->type};
	ssize_t result;

	if (call->sends) {
		memset(message.text, 's', call->size);
		result = msgsnd(id, &message, call->size, call->flags);
	} else {
		result = msgrcv(id, &message, call->size, call->type, call->flags);
		if (result >= 0)
			sprintf(heard, "%ld %ld %.12s", message.type, (long)result, message.text);
	}
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

static void say_state(const char *what)
{
	struct msqid_ds status = stat_of();

	say("{msg: %s} %lu messages, %lu bytes", what, (unsigned long)status.msg_qnum,
	    (unsigned long)status.__msg_cbytes);
}

static void ask_receivers(void)
{
	pid_t pid, other;

	begin();
	pid = start(RECEIVE(.size = ROOM));
	must(put(3, "for whoever waits") == 0);
	tell("a receiver", "%s: %s", ipc_end_of(pid), heard);
	ask_whether("last sender", stat_of().msg_lspid == getpid());
	ask_whether("last receiver", stat_of().msg_lrpid == pid);
	say_state("nothing left");
	pid = start(RECEIVE(.size = ROOM, .type = 2));
	other = start(RECEIVE(.size = ROOM, .type = 7, .flags = MSG_EXCEPT));
	must(put(7, "of seven") == 0);
	must(put(2, "of two") == 0);
	tell("who wants two", "%s", ipc_end_of(pid));
	must(put(8, "of eight") == 0);
	tell("who wants no seven", "%s: %s", ipc_end_of(other), heard);
	tell("left", "%s", take(0));
	pid = start(RECEIVE(.size = ROOM, .type = -5));
	must(put(6, "of six") == 0);
	must(put(5, "of five") == 0);
	tell("who wants up to five", "%s: %s", ipc_end_of(pid), heard);
	tell("left then", "%s", take(0));
	pid = start(RECEIVE(.size = 4));
	must(put(1, "too long") == 0);
	tell("too little room", "%s", ipc_end_of(pid));
	say_state("it stays");
	take(0);
	pid = start(RECEIVE(.size = 4, .flags = MSG_NOERROR));
	must(put(1, "too long") == 0);
	tell("cut", "%s: %.8s", ipc_end_of(pid), heard);
	say_state("it is gone");
	pid = start(RECEIVE(.size = 4));
	other = start(RECEIVE(.size = ROOM));
	must(put(1, "too long") == 0);
	tell("too little room, the first", "%s", ipc_end_of(pid));
	tell("room enough, the second", "%s", ipc_end_of(other));
	say_state("the second took it");
	end();
}

static void ask_senders(void)
{
	pid_t pid, other;

	begin();
	fill();
	pid = start(SEND(.type = 1, .size = 10));
	tell("taken", "%s", take(0));
	tell("a sender", "%s", ipc_end_of(pid));
	say_state("one of ten");
	take(0);
	take(0);
	fill();
	/* Which of them is first is not said. */
	other = start(SEND(.type = 2, .size = ROOM));
	pid = start(SEND(.type = 2, .size = ROOM));
	tell("taken then", "%s", take(0));
	while (stat_of().msg_qnum != 2)
		ipc_pause(5);
	say_state("one sent, one waits");
	tell("of type 2", "%s", take(2));
	tell("both senders", "%s %s", ipc_end_of(pid), ipc_end_of(other));
	say_state("nobody waits");
	tell("of type 2 again", "%s", take(2));
	end();
}

static void ask_qbytes(void)
{
	struct msqid_ds status;
	pid_t pid;

	begin();
	status = stat_of();
	status.msg_qbytes = 10;
	must(msgctl(id, IPC_SET, &status) == 0);
	pid = start(SEND(.type = 1, .size = 11));
	status.msg_qbytes = 11;
	must(msgctl(id, IPC_SET, &status) == 0);
	tell("a sender that is given more bytes", "%s", ipc_end_of(pid));
	pid = start(RECEIVE(.size = ROOM, .type = 5));
	must(msgctl(id, IPC_SET, &status) == 0);
	ipc_await_asleep(pid);
	take(0);
	must(put(5, "five") == 0);
	tell("a receiver, all set again", "%s", ipc_end_of(pid));
	end();
}

static int turns[2];

struct turn {
	int number;
	struct call *call;
};

static void take_turn(void *argument)
{
	struct turn *turn = argument;
	char digit = (char)('0' + turn->number);

	must(perform(turn->call) == 0);
	must(write(turns[1], &digit, 1) == 1);
}

static void say_next(const char *what)
{
	char digit = '?';

	must(read(turns[0], &digit, 1) == 1);
	say("{msg: %s} %c", what, digit);
}

static void ask_order(void)
{
	enum { TURNS = 4 };
	pid_t pids[TURNS];

	begin();
	must(pipe(turns) == 0);
	for (int i = 0; i < TURNS; i++) {
		pids[i] = ipc_beside(take_turn, &(struct turn){i, RECEIVE(.size = ROOM)});
		ipc_await_asleep(pids[i]);
	}
	for (int i = 0; i < TURNS; i++) {
		must(put(i + 1, "x") == 0);
		say_next("receivers, first come, first served");
	}
	for (int i = 0; i < TURNS; i++)
		await_child(pids[i]);
	end();
}

static void ask_signal(const char *what, struct call *call, int number)
{
	pid_t pid = start(call);

	kill(pid, number);
	if (number == SIGSTOP) {
		ipc_pause(20);
		kill(pid, SIGCONT);
		ipc_pause(50);
		if (call->sends)
			take(0);
		else
			must(put(call->type + 1, "x") == 0);
	}
	say("{msg: %s} %s", what, ipc_end_of(pid));
}

static void ask_signals(void)
{
	begin();
	ask_signal("receiver, a handler", RECEIVE(.size = ROOM, .handling = HANDLED), SIGUSR1);
	ask_signal("receiver, a handler that restarts",
	           RECEIVE(.size = ROOM, .handling = RESTARTED), SIGUSR1);
	ask_signal("receiver, a signal that kills", RECEIVE(.size = ROOM), SIGTERM);
	ask_signal("receiver, a kill", RECEIVE(.size = ROOM), SIGKILL);
	must(put(4, "for none of them") == 0);
	ipc_pause(20);
	say_state("none of them takes it");
	take(0);
	ask_signal("receiver, stopped and continued", RECEIVE(.size = ROOM), SIGSTOP);
	say_state("stopped and continued");
	fill();
	ask_signal("sender, a handler", SEND(.type = 1, .size = 5, .handling = HANDLED), SIGUSR1);
	ask_signal("sender, a handler that restarts",
	           SEND(.type = 1, .size = 5, .handling = RESTARTED), SIGUSR1);
	ask_signal("sender, a kill", SEND(.type = 1, .size = 5), SIGKILL);
	take(0);
	take(0);
	ipc_pause(20);
	say_state("none of them sends it");
	fill();
	ask_signal("sender, stopped and continued", SEND(.type = 1, .size = 5), SIGSTOP);
	say_state("then");
	end();
}

static void ask_removal(void)
{
	struct msqid_ds status;
	pid_t pids[3];

	begin();
	fill();
	pids[0] = start(SEND(.type = 1, .size = 5));
	pids[1] = start(RECEIVE(.size = ROOM, .type = 2));
	pids[2] = start(RECEIVE(.size = ROOM, .type = -1));
	end();
	for (int i = 0; i < 3; i++)
		say("{msg: removed, waiter %d} %s", i, ipc_end_of(pids[i]));
	ask("removed", msgctl(id, IPC_STAT, &status));
}

/* Rights are asked for again when one that waits is woken. */
static void ask_rights(void)
{
	struct msqid_ds status;
	pid_t pid;

	begin();
	pid = start(RECEIVE(.size = ROOM));
	status = stat_of();
	status.msg_perm.mode = 0;
	must(msgctl(id, IPC_SET, &status) == 0);
	ipc_pause(30);
	status.msg_perm.mode = 0600;
	must(msgctl(id, IPC_SET, &status) == 0);
	must(put(1, "x") == 0);
	tell("a receiver whose right was taken", "%s", ipc_end_of(pid));
	say_state("and given again");
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
	int count = 0;

	begin();
	for (int i = 0; i < THREADS; i++)
		must(pthread_create(&threads[i], NULL, receive_in_thread,
		                    RECEIVE(.size = ROOM)) == 0);
	for (int i = 0; i < THREADS; i++)
		must(put(i + 1, "x") == 0);
	for (int i = 0; i < THREADS; i++) {
		must(pthread_join(threads[i], &wrong) == 0);
		count += !wrong;
	}
	tell("threads went on", "%d", count);
	say_state("threads took all");
	end();
}

enum { ROUNDS = 1000 };

static void produce(void *argument)
{
	struct message message = {.type = *(long *)argument};

	for (int i = 0; i < ROUNDS; i++) {
		memcpy(message.text, &i, sizeof i);
		must(msgsnd(id, &message, sizeof i + (size_t)(i % 400), 0) == 0);
	}
}

/* Two that send more than fits, one that takes it all. */
static void ask_flow(void)
{
	struct message message;
	int next[3] = {0}, wrong = 0;
	pid_t one, other;

	begin();
	one = ipc_beside(produce, &(long){1});
	other = ipc_beside(produce, &(long){2});
	for (int i = 0; i < 2 * ROUNDS; i++) {
		int number = -1;

		must(msgrcv(id, &message, ROOM, 0, 0) >= (ssize_t)sizeof number);
		memcpy(&number, message.text, sizeof number);
		wrong += number != next[message.type]++;
	}
	tell("senders", "%s %s", ipc_end_of(one), ipc_end_of(other));
	tell("flow, wrong", "%d", wrong);
	say_state("all taken");
	end();
}

static const struct ipc_group groups[] = {
	{"receivers", ask_receivers}, {"senders", ask_senders}, {"qbytes", ask_qbytes},
	{"order", ask_order},         {"signals", ask_signals}, {"removal", ask_removal},
	{"rights", ask_rights},       {"threads", ask_threads}, {"flow", ask_flow},
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
