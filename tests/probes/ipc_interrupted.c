/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls that wait while others look at what they wait for, and a signal comes right after that:
 * each is interrupted. */
#define FAMILY "interrupted"
#include "tests/probes/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <unistd.h>

#define NAME "/queue"

enum { SIZE = 16, WARM = 8, ROUNDS = 100, PATIENCE_MS = 3000 };

struct message {
	long type;
	char text[SIZE];
};

struct kind {
	const char *name;
	void (*warm)(void); /* has it as memory, where that can be */
	long (*wait)(void);
	void (*look)(void);
};

static mqd_t queue;
static int msg;
static struct {
	atomic_int interrupted;
	atomic_bool is_warm; /* it does nothing but wait from now on */
} *notes;

static void send_and_receive_mq(void)
{
	char text[SIZE];

	must(mq_send(queue, "x", 1, 0) == 0 && mq_receive(queue, text, SIZE, NULL) == 1);
}

static void send_and_receive_msg(void)
{
	struct message message = {1, "x"};

	must(msgsnd(msg, &message, 1, 0) == 0 && msgrcv(msg, &message, SIZE, 0, 0) == 1);
}

static long receive_mq(void)
{
	char text[SIZE];

	return mq_receive(queue, text, SIZE, NULL);
}

/* The first succeeds. */
static long send_mq(void)
{
	return mq_send(queue, "x", 1, 0);
}

static long receive_msg(void)
{
	struct message message;

	return msgrcv(msg, &message, SIZE, 0, 0);
}

static long receive_msg_of_two(void)
{
	struct message message;

	return msgrcv(msg, &message, SIZE, 2, 0);
}

static void look_at_mq(void)
{
	struct mq_attr attributes;

	must(mq_getattr(queue, &attributes) == 0);
}

static void look_at_msg(void)
{
	struct msqid_ds status;

	must(msgctl(msg, IPC_STAT, &status) == 0);
}

static const struct kind kinds[] = {
	{"mq_receive", send_and_receive_mq, receive_mq, look_at_mq},
	{"mq_send", send_and_receive_mq, send_mq, look_at_mq},
	{"msgrcv", send_and_receive_msg, receive_msg, look_at_msg},
	{"msgrcv of a type", send_and_receive_msg, receive_msg_of_two, look_at_msg},
};

static void wait_again_and_again(void *argument)
{
	const struct kind *kind = argument;

	ipc_handle(SIGUSR1, 0);
	for (int i = 0; i < WARM; i++)
		kind->warm();
	atomic_store(&notes->is_warm, true);
	for (;;)
		if (kind->wait() < 0) {
			must(errno == EINTR);
			atomic_fetch_add(&notes->interrupted, 1);
		}
}

static bool await_interruption(int before)
{
	for (int i = 0; i < PATIENCE_MS && atomic_load(&notes->interrupted) == before; i++)
		ipc_pause(1);
	return atomic_load(&notes->interrupted) != before;
}

static int count_lost(const struct kind *kind, pid_t pid)
{
	int lost = 0;

	for (int i = 0; i < ROUNDS; i++) {
		int before = atomic_load(&notes->interrupted);

		ipc_await_nap(pid);
		kind->look();
		kill(pid, SIGUSR1);
		if (await_interruption(before))
			continue;
		lost++;
		do
			kill(pid, SIGUSR1);
		while (!await_interruption(before));
	}
	return lost;
}

static void ask_kind(const struct kind *kind)
{
	struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = SIZE};
	pid_t pid;

	queue = mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
	msg = msgget(IPC_PRIVATE, 0600);
	must(queue >= 0 && msg >= 0);
	atomic_store(&notes->interrupted, 0);
	atomic_store(&notes->is_warm, false);
	pid = ipc_beside(wait_again_and_again, (void *)(uintptr_t)kind);
	while (!atomic_load(&notes->is_warm))
		ipc_pause(1);
	for (int i = 0; i < WARM; i++)
		kind->look();
	say("{interrupted: %s} lost: %d", kind->name, count_lost(kind, pid));
	ipc_kill(pid);
	must(mq_close(queue) == 0 && mq_unlink(NAME) == 0 && msgctl(msg, IPC_RMID, NULL) == 0);
}

static void body(void)
{
	notes = shared_memory(sizeof *notes);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		ask_kind(&kinds[i]);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
