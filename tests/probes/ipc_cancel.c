/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads that are cancelled in calls that wait: they end, and nothing waits for them any more. */
#define FAMILY "cancel"
#include "tests/probes/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME "/queue"

enum { SIZE = 16 };

struct message {
	long type;
	char text[SIZE];
};

static mqd_t queue;
static int msg, sem;
static atomic_int thread_id, result, cleaned;
static const struct timespec past = {1, 0};

static void begin(void)
{
	struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = SIZE};
	struct msqid_ds status;

	queue = mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
	msg = msgget(IPC_PRIVATE, 0600);
	sem = semget(IPC_PRIVATE, 1, 0600);
	must(queue >= 0 && sem >= 0 && msgctl(msg, IPC_STAT, &status) == 0);
	status.msg_qbytes = SIZE;
	must(msgctl(msg, IPC_SET, &status) == 0);
}

static void end(void)
{
	must(mq_close(queue) == 0 && mq_unlink(NAME) == 0);
	must(msgctl(msg, IPC_RMID, NULL) == 0 && semctl(sem, 0, IPC_RMID) == 0);
}

static void receive_mq(void)
{
	char text[SIZE];

	result = mq_receive(queue, text, SIZE, NULL) < 0 ? errno : 0;
}

static void receive_mq_timed(void)
{
	struct timespec until = ipc_in(CLOCK_REALTIME, 30000);
	char text[SIZE];

	result = mq_timedreceive(queue, text, SIZE, NULL, &until) < 0 ? errno : 0;
}

static void send_mq(void)
{
	result = mq_send(queue, "cancelled", 9, 0) < 0 ? errno : 0;
}

static void send_mq_timed(void)
{
	struct timespec until = ipc_in(CLOCK_REALTIME, 30000);

	result = mq_timedsend(queue, "cancelled", 9, 0, &until) < 0 ? errno : 0;
}

static void receive_msg(void)
{
	struct message message;

	result = msgrcv(msg, &message, SIZE, 0, 0) < 0 ? errno : 0;
}

static void send_msg(void)
{
	struct message message = {1, "cancelled"};

	result = msgsnd(msg, &message, SIZE, 0) < 0 ? errno : 0;
}

/* No cancellation point. */
static void wait_sem(void)
{
	struct sembuf down = {0, -1, 0};

	result = semop(sem, &down, 1) < 0 ? errno : 0;
}

static void put(void)
{
	struct message message = {2, "there"};

	must(mq_timedsend(queue, "there", 5, 0, &past) == 0);
	must(msgsnd(msg, &message, SIZE, IPC_NOWAIT) == 0);
}

static void clean(void *argument)
{
	(void)argument;
	cleaned++;
}

static void *run(void *argument)
{
	void (*const *call)(void) = argument;

	result = -1;
	thread_id = (int)syscall(SYS_gettid);
	pthread_cleanup_push(clean, NULL);
	(*call)();
	pthread_cleanup_pop(0);
	return NULL;
}

static pthread_t start(void (**call)(void))
{
	pthread_t thread;

	thread_id = 0;
	cleaned = 0;
	must(pthread_create(&thread, NULL, run, call) == 0);
	while (!thread_id)
		ipc_pause(1);
	ipc_await_asleep(thread_id);
	return thread;
}

static const char *join(pthread_t thread)
{
	void *how;

	must(pthread_join(thread, &how) == 0);
	if (how == PTHREAD_CANCELED)
		return cleaned == 1 ? "cancelled, cleaned" : "cancelled, not cleaned";
	return "returned";
}

static void ask_receiver(const char *what, void (*call)(void))
{
	struct message message;
	char text[SIZE];
	pthread_t thread;

	begin();
	thread = start(&call);
	must(pthread_cancel(thread) == 0);
	say("{cancel: %s} %s", what, join(thread));
	put();
	ipc_pause(20);
	say("{cancel: %s, what is left} %s %s", what,
	    ipc_value(mq_timedreceive(queue, text, SIZE, NULL, &past)),
	    ipc_value(msgrcv(msg, &message, SIZE, 0, IPC_NOWAIT)));
	end();
}

static void ask_sender(const char *what, void (*call)(void))
{
	struct message message;
	char text[SIZE];
	pthread_t thread;

	begin();
	put();
	thread = start(&call);
	must(pthread_cancel(thread) == 0);
	say("{cancel: %s} %s", what, join(thread));
	must(mq_timedreceive(queue, text, SIZE, NULL, &past) == 5);
	must(msgrcv(msg, &message, SIZE, 0, IPC_NOWAIT) == SIZE);
	ipc_pause(20);
	say("{cancel: %s, what is left} %s", what,
	    outcome(mq_timedreceive(queue, text, SIZE, NULL, &past)));
	say("{cancel: %s, what is left of the other} %s", what,
	    outcome(msgrcv(msg, &message, SIZE, 0, IPC_NOWAIT)));
	end();
}

static void ask_waiting(void)
{
	ask_receiver("mq_receive", receive_mq);
	ask_receiver("mq_timedreceive", receive_mq_timed);
	ask_receiver("msgrcv", receive_msg);
	ask_sender("mq_send", send_mq);
	ask_sender("mq_timedsend", send_mq_timed);
	ask_sender("msgsnd", send_msg);
}

static void ask_sem(void)
{
	void (*call)(void) = wait_sem;
	struct sembuf up = {0, 1, 0};
	pthread_t thread;

	begin();
	thread = start(&call);
	must(pthread_cancel(thread) == 0);
	ipc_await_asleep(thread_id);
	tell("semop, it waits", "%d", semctl(sem, 0, GETNCNT));
	must(semop(sem, &up, 1) == 0);
	tell("semop", "%s", join(thread));
	tell("its result", "%d", result);
	tell("its value", "%d", semctl(sem, 0, GETVAL));
	end();
}

/* Cancelled before it asks: then nothing is done, even if nothing would wait. */
static void *run_late(void *argument)
{
	void (*const *call)(void) = argument;

	result = -1;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	thread_id = (int)syscall(SYS_gettid);
	while (cleaned != -1)
		ipc_pause(1);
	cleaned = 0;
	pthread_cleanup_push(clean, NULL);
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	(*call)();
	pthread_cleanup_pop(0);
	return NULL;
}

static void ask_late(const char *what, void (*call)(void))
{
	struct message message;
	char text[SIZE];
	pthread_t thread;

	begin();
	put();
	must(pthread_create(&thread, NULL, run_late, &call) == 0);
	must(pthread_cancel(thread) == 0);
	cleaned = -1;
	say("{cancel: %s, cancelled before} %s", what, join(thread));
	say("{cancel: %s, returned} %d", what, result != -1);
	say("{cancel: %s, cancelled before, left} %s %s", what,
	    ipc_value(mq_timedreceive(queue, text, SIZE, NULL, &past)),
	    ipc_value(msgrcv(msg, &message, SIZE, 0, IPC_NOWAIT)));
	end();
}

static void ask_before(void)
{
	ask_late("mq_receive", receive_mq);
	ask_late("msgrcv", receive_msg);
	ask_late("mq_send", send_mq);
	ask_late("msgsnd", send_msg);
}

static void *run_disabled(void *argument)
{
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	return run(argument);
}

static void ask_disabled(void)
{
	void (*calls[])(void) = {receive_mq, receive_msg};

	for (int i = 0; i < 2; i++) {
		pthread_t thread;

		begin();
		thread_id = 0;
		must(pthread_create(&thread, NULL, run_disabled, &calls[i]) == 0);
		while (!thread_id)
			ipc_pause(1);
		ipc_await_asleep(thread_id);
		must(pthread_cancel(thread) == 0);
		ipc_pause(20);
		put();
		say("{cancel: disabled %d} %s", i, join(thread));
		say("{cancel: disabled %d, result} %d", i, result);
		end();
	}
}

/* Many, of which each second is cancelled: the others have all messages. */
static void ask_crowd(void)
{
	enum { CROWD = 12 };
	void (*call)(void) = receive_mq;
	pthread_t threads[CROWD];
	int cancelled = 0;
	void *how;

	begin();
	for (int i = 0; i < CROWD; i++)
		threads[i] = start(&call);
	for (int i = 0; i < CROWD; i += 2)
		must(pthread_cancel(threads[i]) == 0);
	for (int i = 0; i < CROWD; i += 2) {
		must(pthread_join(threads[i], &how) == 0);
		cancelled += how == PTHREAD_CANCELED;
	}
	tell("of a crowd", "%d", cancelled);
	for (int i = 0; i < CROWD / 2; i++)
		must(mq_send(queue, "x", 1, 0) == 0);
	for (int i = 1; i < CROWD; i += 2)
		must(pthread_join(threads[i], &how) == 0 && !how);
	tell("the others went on", "%d", CROWD / 2);
	end();
}

static const struct ipc_group groups[] = {
	{"waiting", ask_waiting}, {"sem", ask_sem},     {"before", ask_before},
	{"disabled", ask_disabled}, {"crowd", ask_crowd}, {NULL, NULL},
};

static void body(void)
{
	ipc_run(groups);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
