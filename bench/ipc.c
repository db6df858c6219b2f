/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What System V IPC and message queues cost by the library, and what the host's own do. Run by
 * hand: bench/run ipc. "Between two" is there and back, each process waiting for the other. */
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include "bench/pairs.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { SMALL = 64, LARGE = 4096, PAGE = 4096 };

/* Without a name, once it is open. */
static mqd_t make_queue(size_t size)
{
	struct mq_attr wanted = {.mq_maxmsg = 8, .mq_msgsize = (long)size};
	char name[64];
	mqd_t queue;

	snprintf(name, sizeof name, "/shmemu-bench-%ld", (long)getpid());
	queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &wanted);
	if (queue < 0 || mq_unlink(name) < 0)
		die("mq_open");
	return queue;
}

static void send_one(mqd_t queue, char *bytes, size_t size)
{
	if (mq_send(queue, bytes, size, 0) < 0)
		die("mq_send");
}

static void receive_one(mqd_t queue, char *bytes, size_t size)
{
	if (mq_receive(queue, bytes, size, NULL) < 0)
		die("mq_receive");
}

static void queue_alone(long count, size_t size)
{
	mqd_t queue = make_queue(size);
	char bytes[LARGE] = "";

	for (long i = 0; i < count; i++) {
		send_one(queue, bytes, size);
		receive_one(queue, bytes, size);
	}
	mq_close(queue);
}

static void queue_small(long count)
{
	queue_alone(count, SMALL);
}

static void queue_large(long count)
{
	queue_alone(count, LARGE);
}

static void queue_serve(const int *with, long count)
{
	char bytes[SMALL] = "";

	for (long i = 0; i < count; i++) {
		receive_one(with[0], bytes, SMALL);
		send_one(with[1], bytes, SMALL);
	}
}

static void queue_between(long count)
{
	const int with[] = {make_queue(SMALL), make_queue(SMALL)};
	pid_t pid = start(queue_serve, with, count);
	char bytes[SMALL] = "";

	for (long i = 0; i < count; i++) {
		send_one(with[0], bytes, SMALL);
		receive_one(with[1], bytes, SMALL);
	}
	finish(pid);
	mq_close(with[0]);
	mq_close(with[1]);
}

static int make_set(void)
{
	int id = semget(IPC_PRIVATE, 2, 0600);

	if (id < 0)
		die("semget");
	return id;
}

static void remove_set(int id)
{
	if (semctl(id, 0, IPC_RMID) < 0)
		die("semctl");
}

static void change(int id, unsigned short number, short by, short flags)
{
	struct sembuf step = {number, by, flags};

	if (semop(id, &step, 1) < 0)
		die("semop");
}

static void set_alone_as(long count, short flags)
{
	int id = make_set();

	for (long i = 0; i < count; i++) {
		change(id, 0, 1, flags);
		change(id, 0, -1, flags);
	}
	remove_set(id);
}

static void set_alone(long count)
{
	set_alone_as(count, 0);
}

static void set_undone(long count)
{
	set_alone_as(count, SEM_UNDO);
}

static void set_array(long count)
{
	struct sembuf up[] = {{0, 1, 0}, {1, 1, 0}}, down[] = {{0, -1, 0}, {1, -1, 0}};
	int id = make_set();

	for (long i = 0; i < count; i++)
		if (semop(id, up, 2) < 0 || semop(id, down, 2) < 0)
			die("semop");
	remove_set(id);
}

static void set_serve(const int *with, long count)
{
	for (long i = 0; i < count; i++) {
		change(with[0], 0, -1, 0);
		change(with[0], 1, 1, 0);
	}
}

static void set_between(long count)
{
	int id = make_set();
	pid_t pid = start(set_serve, &id, count);

	for (long i = 0; i < count; i++) {
		change(id, 0, 1, 0);
		change(id, 1, -1, 0);
	}
	finish(pid);
	remove_set(id);
}

static void set_looked_at(long count)
{
	int id = make_set();

	for (long i = 0; i < count; i++)
		if (semctl(id, 0, GETVAL) < 0)
			die("semctl");
	remove_set(id);
}

struct letter {
	long type;
	char bytes[SMALL];
};

static void put(int id, long type)
{
	struct letter letter = {.type = type};

	if (msgsnd(id, &letter, SMALL, 0) < 0)
		die("msgsnd");
}

static void take(int id, long type)
{
	struct letter letter;

	if (msgrcv(id, &letter, SMALL, type, 0) < 0)
		die("msgrcv");
}

static int make_box(void)
{
	int id = msgget(IPC_PRIVATE, 0600);

	if (id < 0)
		die("msgget");
	return id;
}

static void remove_box(int id)
{
	if (msgctl(id, IPC_RMID, NULL) < 0)
		die("msgctl");
}

static void message_alone(long count)
{
	int id = make_box();

	for (long i = 0; i < count; i++) {
		put(id, 1);
		take(id, 1);
	}
	remove_box(id);
}

static void message_serve(const int *with, long count)
{
	for (long i = 0; i < count; i++) {
		take(*with, 1);
		put(*with, 2);
	}
}

static void message_between(long count)
{
	int id = make_box();
	pid_t pid = start(message_serve, &id, count);

	for (long i = 0; i < count; i++) {
		put(id, 1);
		take(id, 2);
	}
	finish(pid);
	remove_box(id);
}

static int make_segment(void)
{
	int id = shmget(IPC_PRIVATE, PAGE, 0600);

	if (id < 0)
		die("shmget");
	return id;
}

static void remove_segment(int id)
{
	if (shmctl(id, IPC_RMID, NULL) < 0)
		die("shmctl");
}

static char *attach(int id)
{
	char *memory = shmat(id, NULL, 0);

	if (memory == (char *)-1)
		die("shmat");
	return memory;
}

static void attach_and_detach(int id)
{
	if (shmdt(attach(id)) < 0)
		die("shmdt");
}

static void segment_whole(long count)
{
	for (long i = 0; i < count; i++) {
		int id = make_segment();

		attach_and_detach(id);
		remove_segment(id);
	}
}

static void segment_attached(long count)
{
	int id = make_segment();

	for (long i = 0; i < count; i++)
		attach_and_detach(id);
	remove_segment(id);
}

static void semaphore(long count)
{
	sem_t one;

	if (sem_init(&one, 1, 0) < 0)
		die("sem_init");
	for (long i = 0; i < count; i++)
		if (sem_post(&one) < 0 || sem_wait(&one) < 0)
			die("a semaphore");
	sem_destroy(&one);
}

static void do_nothing(const int *with, long count)
{
	(void)with;
	(void)count;
}

static void fork_often(long count)
{
	for (long i = 0; i < count; i++)
		finish(start(do_nothing, NULL, 0));
}

static void fork_attached(long count)
{
	int id = make_segment();
	char *memory = attach(id);

	fork_often(count);
	shmdt(memory);
	remove_segment(id);
}

static const struct pairs_kind kinds[] = {
	{"mq_send, mq_receive, 64", queue_small, 100000},
	{"mq_send, mq_receive, 4096", queue_large, 50000},
	{"mq between two", queue_between, 10000},
	{"semop +1, -1", set_alone, 100000},
	{"semop of two, and back", set_array, 5000},
	{"semop SEM_UNDO +1, -1", set_undone, 5000},
	{"semop between two", set_between, 5000},
	{"semctl GETVAL", set_looked_at, 5000},
	{"msgsnd, msgrcv, 64", message_alone, 100000},
	{"msg between two", message_between, 10000},
	{"shmget, at, dt, IPC_RMID", segment_whole, 2000},
	{"shmat, shmdt", segment_attached, 2000},
	{"sem_post, sem_wait", semaphore, 1000000},
	{"fork, exit, wait", fork_often, 1000},
	{"fork, exit, wait; attached", fork_attached, 1000},
};

/* The host's own objects are nobody else's, where we may have them so. */
static void be_alone(void)
{
	unshare(CLONE_NEWIPC);
}

int main(int argc, char **argv)
{
	const struct pairs pairs = {kinds, COUNT(kinds), be_alone};

	return pairs_main(&pairs, argc, argv);
}
