/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two programs, one with a long of 32 bits and one of 64, and what they share. The argument is the
 * other one's path: that is this probe, built for the other class. */
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include "tests/probes/probe.h"

enum { KEY = 0x5e6d3264, PAGE = 4096, SIZE = 64, TYPE = 7, ROUNDS = 1000 };

struct message {
	long type;
	char text[SIZE];
};

static int steps(int set, unsigned short number, short by, short flags)
{
	return semop(set, &(struct sembuf){number, by, flags}, 1);
}

/* Semaphore 0 is the other's turn, 1 is ours again, 2 is changed to be undone. */
static void play(int set, bool is_first, volatile unsigned *shared)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (!is_first)
			steps(set, 0, -1, 0);
		(*shared)++;
		if (is_first && steps(set, 0, 1, 0) == 0)
			steps(set, 1, -1, 0);
		if (!is_first)
			steps(set, 1, 1, 0);
	}
}

static void *map(const char *name, int flags)
{
	int fd = shm_open(name, flags | O_RDWR, 0600);
	void *memory;

	must(fd >= 0);
	if (flags & O_CREAT)
		must(ftruncate(fd, PAGE) == 0);
	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(memory != MAP_FAILED);
	close(fd);
	return memory;
}

/* glibc's sem_t is another in each class, and no semaphore in the other. */
static void ask_semaphore(void)
{
	sem_t *sem = sem_open("/classes", 0);
	int value = -1;

	if (sem != SEM_FAILED)
		sem_getvalue(sem, &value);
	say("semaphore: %s, %d", outcome(sem == SEM_FAILED ? -1 : 0), value);
}

/* The other class, whose status says whether all was well. */
static void other(void)
{
	char *segment = map("/classes", 0);
	char *attached = shmat(shmget(KEY, 0, 0), NULL, 0);
	mqd_t queue = mq_open("/classes", O_RDWR);
	int box = msgget(KEY, 0), set = semget(KEY, 0, 0);
	struct message message;
	struct shmid_ds status;
	unsigned priority = 0;
	char text[SIZE] = "";

	must(attached != (void *)-1);
	say("segment: %s, %s", segment, attached);
	must(mq_receive(queue, text, sizeof text, &priority) == 6 && priority == 5);
	must(msgrcv(box, &message, SIZE, TYPE, 0) == 4 && message.type == TYPE);
	say("messages: %s, %s", text, message.text);
	must(shmctl(shmget(KEY, 0, 0), IPC_STAT, &status) == 0);
	say("attached %d times, of %d bytes", (int)status.shm_nattch, (int)status.shm_segsz);
	must(mq_send(queue, "from other", 11, 3) == 0);
	message.type = TYPE + 1;
	strcpy(message.text, "of other");
	must(msgsnd(box, &message, 9, 0) == 0);
	ask_semaphore();
	strcpy(segment, "seen");
	strcpy(attached, "seen too");
	must(steps(set, 2, 9, SEM_UNDO) == 0);
	play(set, false, (unsigned *)(void *)(segment + SIZE));
}

/* The lines of the other are its own: they come by its standard output. */
static pid_t run_other(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl(probe_argument(1), probe_argument(1), "other", (char *)NULL);
		_exit(EXIT_FAILURE);
	}
	must(pid > 0);
	return pid;
}

static void first(void)
{
	char *segment = map("/classes", O_CREAT | O_EXCL);
	volatile unsigned *shared = (unsigned *)(void *)(segment + SIZE);
	int id = shmget(KEY, PAGE, IPC_CREAT | IPC_EXCL | 0600);
	char *attached = shmat(id, NULL, 0);
	struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = SIZE};
	mqd_t queue = mq_open("/classes", O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
	int box = msgget(KEY, IPC_CREAT | IPC_EXCL | 0600);
	int set = semget(KEY, 3, IPC_CREAT | IPC_EXCL | 0600);
	struct message message = {TYPE, "box"};
	unsigned priority = 0;
	char text[SIZE] = "";
	pid_t pid;

	must(sem_open("/classes", O_CREAT | O_EXCL, 0600, 3) != SEM_FAILED);
	must(attached != (void *)-1);
	strcpy(segment, "shm_open's");
	strcpy(attached, "shmget's");
	must(mq_send(queue, "queue", 6, 5) == 0 && msgsnd(box, &message, 4, 0) == 0);
	pid = run_other();
	play(set, true, shared);
	must(await_child(pid) == 0);
	say("then: %s, %s, counted %u", segment, attached, *shared);
	must(mq_receive(queue, text, sizeof text, &priority) == 11 && priority == 3);
	must(msgrcv(box, &message, SIZE, 0, 0) == 9 && message.type == TYPE + 1);
	say("answers: %s, %s", text, message.text);
	say("undone: %d, by %s", semctl(set, 2, GETVAL),
	    semctl(set, 1, GETPID) == getpid() ? "ours" : "the other");
	must(shmctl(id, IPC_RMID, NULL) == 0 && msgctl(box, IPC_RMID, NULL) == 0 &&
	     semctl(set, 0, IPC_RMID) == 0);
	must(mq_unlink("/classes") == 0 && shm_unlink("/classes") == 0);
	must(sem_unlink("/classes") == 0);
}

static void body(void)
{
	if (strcmp(probe_argument(1), "other") == 0)
		other();
	else
		first();
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
