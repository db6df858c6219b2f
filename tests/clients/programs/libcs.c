/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two programs that have different libcs say to each other what these words have them do. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

enum { SIZE = 4096 };

static char *segment(void)
{
	int fd = shm_open("/libcs", O_RDWR | O_CREAT, 0600);

	if (fd < 0 || ftruncate(fd, SIZE) < 0)
		abort();
	return mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static int give(const char *text)
{
	mqd_t queue = mq_open("/libcs", O_RDWR | O_CREAT, 0600, NULL);
	char *attached = shmat(shmget(0x11bc, SIZE, IPC_CREAT | 0600), NULL, 0);
	FILE *file = fopen("/dev/shm/file", "w");

	strcpy(segment(), text);
	strcpy(attached, text);
	fputs(text, file);
	return fclose(file) == 0 && mq_send(queue, text, strlen(text) + 1, 1) == 0 ? 0 : 1;
}

static int take(const char *text)
{
	mqd_t queue = mq_open("/libcs", O_RDWR);
	char *attached = shmat(shmget(0x11bc, SIZE, 0), NULL, 0);
	FILE *file = fopen("/dev/shm/file", "r");
	char told[8192];
	char read[64];

	if (mq_receive(queue, told, sizeof told, NULL) < 0 || !fgets(read, sizeof read, file))
		return 1;
	printf("%d%d%d%d\n", !strcmp(segment(), text), !strcmp(attached, text), !strcmp(told, text),
	       !strcmp(read, text));
	return 0;
}

static int make(const char *name)
{
	return sem_open(name, O_CREAT | O_EXCL, 0600, 1) == SEM_FAILED;
}

static int use(const char *name)
{
	sem_t *sem = sem_open(name, 0);
	int value;

	if (sem == SEM_FAILED) {
		puts(errno == EINVAL ? "EINVAL" : strerror(errno));
		return 0;
	}
	printf("%d ", sem_wait(sem));
	printf("%d ", sem_trywait(sem));
	sem_post(sem);
	sem_getvalue(sem, &value);
	printf("%d\n", value);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *word;
		int (*act)(const char *argument);
	} acts[] = {{"give", give}, {"take", take}, {"make", make}, {"use", use}};

	for (size_t i = 0; argc == 3 && i < sizeof acts / sizeof acts[0]; i++)
		if (strcmp(argv[1], acts[i].word) == 0)
			return acts[i].act(argv[2]);
	return 2;
}
