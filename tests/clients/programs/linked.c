/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A bit of each kind of calls on names, between two processes; `leave`: a segment for others to
 * look at. Prints "all" if all is well, else which call was not, to standard error. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 4096 };

static void must(int is_so, const char *what)
{
	if (is_so)
		return;
	fprintf(stderr, "%s: %s\n", what, errno == ENOSYS ? "ENOSYS" : strerror(errno));
	exit(1);
}

#define MUST(call) must((call) ? 1 : 0, #call)

struct note {
	long type;
	char text[8];
};

static char *open_segment(int flags)
{
	int fd = shm_open("/met", flags, 0600);
	char *memory;

	MUST(fd >= 0);
	MUST(!(flags & O_CREAT) || ftruncate(fd, SIZE) == 0);
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	MUST(memory != MAP_FAILED);
	close(fd);
	return memory;
}

/* The other process: all by name. */
static void answer(void)
{
	struct sembuf up = {.sem_op = 1};
	struct note note = {.type = 7, .text = "note"};
	char *memory = open_segment(O_RDWR);
	sem_t *sem = sem_open("/turn", 0);
	mqd_t queue = mq_open("/queue", O_WRONLY);
	char *attached = shmat(shmget(0x5e1, SIZE, 0), NULL, 0);

	MUST(sem != SEM_FAILED && queue >= 0 && attached != (void *)-1);
	MUST(strcmp(memory, "hello") == 0);
	strcpy(memory + 16, "world");
	strcpy(attached, "system");
	MUST(sem_post(sem) == 0);
	MUST(mq_send(queue, "word", 5, 3) == 0);
	MUST(msgsnd(msgget(0x5e1, 0), &note, sizeof note.text, 0) == 0);
	MUST(semop(semget(0x5e1, 1, 0), &up, 1) == 0);
	exit(0);
}

static void take(sem_t *sem, mqd_t queue, int set, int messages)
{
	struct sembuf down = {.sem_op = -1};
	struct note note;
	char word[64];
	unsigned priority;
	int status;

	MUST(sem_wait(sem) == 0);
	MUST(mq_receive(queue, word, sizeof word, &priority) == 5);
	MUST(strcmp(word, "word") == 0 && priority == 3);
	MUST(msgrcv(messages, &note, sizeof note.text, 7, 0) == sizeof note.text);
	MUST(strcmp(note.text, "note") == 0);
	MUST(semop(set, &down, 1) == 0);
	MUST(wait(&status) > 0 && status == 0);
}

static void together(void)
{
	struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 64};
	char *memory = open_segment(O_RDWR | O_CREAT | O_EXCL);
	sem_t *sem = sem_open("/turn", O_CREAT | O_EXCL, 0600, 0);
	mqd_t queue = mq_open("/queue", O_RDONLY | O_CREAT | O_EXCL, 0600, &attributes);
	int segment = shmget(0x5e1, SIZE, IPC_CREAT | IPC_EXCL | 0600);
	int set = semget(0x5e1, 1, IPC_CREAT | IPC_EXCL | 0600);
	int messages = msgget(0x5e1, IPC_CREAT | IPC_EXCL | 0600);
	char *attached;

	MUST(sem != SEM_FAILED);
	MUST(queue >= 0);
	MUST(segment >= 0 && set >= 0 && messages >= 0);
	attached = shmat(segment, NULL, 0);
	MUST(attached != (void *)-1);
	strcpy(memory, "hello");
	if (fork() == 0)
		answer();
	take(sem, queue, set, messages);
	MUST(strcmp(memory + 16, "world") == 0 && strcmp(attached, "system") == 0);
	MUST(shmdt(attached) == 0 && shmctl(segment, IPC_RMID, NULL) == 0);
	MUST(semctl(set, 0, IPC_RMID) == 0 && msgctl(messages, IPC_RMID, NULL) == 0);
	MUST(mq_close(queue) == 0 && mq_unlink("/queue") == 0);
	MUST(sem_close(sem) == 0 && sem_unlink("/turn") == 0);
	MUST(shm_unlink("/met") == 0 && shm_unlink("/met") < 0 && errno == ENOENT);
	puts("all");
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "leave") == 0)
		strcpy(open_segment(O_RDWR | O_CREAT), "hello");
	else
		together();
	return 0;
}
