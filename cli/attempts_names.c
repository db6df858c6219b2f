/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/attempts.h"

enum { PAGE = 4096, NAME_SIZE = 64 };

/* A call that failed is told by its errno; that it was right, by what it did. */
static int judge(int result, bool is_right)
{
	if (result < 0)
		return errno;
	return is_right ? 0 : EREMCHG;
}

static int use_segment(int id)
{
	char *one = shmat(id, NULL, 0);
	char *two = shmat(id, NULL, 0);
	struct shmid_ds about = {.shm_nattch = 0};

	if (one == (char *)-1 || two == (char *)-1)
		return errno;
	one[PAGE - 1] = 'a';
	if (two[PAGE - 1] != 'a')
		return EREMCHG;
	if (shmctl(id, IPC_STAT, &about) < 0 || shmdt(two) < 0)
		return errno;
	return judge(0, about.shm_nattch == 2);
}

int try_shmget(void)
{
	int id = shmget(IPC_PRIVATE, PAGE, 0600);
	int error = id < 0 ? errno : use_segment(id);

	if (id >= 0 && shmctl(id, IPC_RMID, NULL) < 0)
		return errno;
	return error;
}

static int use_semaphore(int id)
{
	struct sembuf up = {.sem_op = 2};
	struct sembuf down = {.sem_op = -1};
	int value;

	if (semop(id, &up, 1) < 0 || semop(id, &down, 1) < 0)
		return errno;
	value = semctl(id, 0, GETVAL);
	return judge(value, value == 1);
}

int try_semget(void)
{
	int id = semget(IPC_PRIVATE, 1, 0600);
	int error = id < 0 ? errno : use_semaphore(id);

	if (id >= 0 && semctl(id, 0, IPC_RMID) < 0)
		return errno;
	return error;
}

static int use_messages(int id)
{
	struct {
		long type;
		char text[8];
	} sent = {7, "message"}, got = {.type = 0};

	if (msgsnd(id, &sent, sizeof sent.text, IPC_NOWAIT) < 0 ||
	    msgrcv(id, &got, sizeof got.text, 7, IPC_NOWAIT) < 0)
		return errno;
	return judge(0, got.type == 7 && strcmp(got.text, sent.text) == 0);
}

int try_msgget(void)
{
	int id = msgget(IPC_PRIVATE, 0600);
	int error = id < 0 ? errno : use_messages(id);

	if (id >= 0 && msgctl(id, IPC_RMID, NULL) < 0)
		return errno;
	return error;
}

static void make_name(char name[static NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "/shmemu-doctor-%d", (int)getpid());
}

int try_mq_open(void)
{
	struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 8};
	char name[NAME_SIZE], got[8] = "";
	unsigned priority = 0;
	mqd_t queue;

	make_name(name);
	queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK | O_CLOEXEC, 0600,
	                &attributes);
	if (queue < 0 || mq_unlink(name) < 0)
		return errno;
	if (mq_send(queue, "message", sizeof got, 7) < 0 ||
	    mq_receive(queue, got, sizeof got, &priority) < 0)
		return errno;
	return judge(mq_close(queue), priority == 7 && strcmp(got, "message") == 0);
}

int try_sem_open(void)
{
	char name[NAME_SIZE];
	sem_t *semaphore;

	make_name(name);
	semaphore = sem_open(name, O_CREAT | O_EXCL, 0600, 1);
	if (semaphore == SEM_FAILED || sem_unlink(name) < 0 || sem_trywait(semaphore) < 0)
		return errno;
	return judge(sem_close(semaphore), true);
}

/* Two descriptors of one segment, one of them mapped. */
static int use_shared(int file, int other)
{
	char byte = '\0';
	char *memory;

	if (other < 0)
		return EREMCHG;
	if (ftruncate(file, PAGE) < 0)
		return errno;
	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (memory == MAP_FAILED)
		return errno;
	memory[PAGE - 1] = 'x';
	if (msync(memory, PAGE, MS_SYNC) < 0 && errno != ENOSYS && errno != EPERM)
		return errno;
	if (pread(other, &byte, 1, PAGE - 1) < 0)
		return errno;
	return judge(0, byte == 'x');
}

int try_shm_open(void)
{
	char name[NAME_SIZE];
	OWN_FD file = -1;
	OWN_FD other = -1;

	make_name(name);
	file = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
	if (file < 0)
		return errno;
	/* Before anything that may end this process. */
	other = shm_open(name, O_RDONLY, 0);
	if (shm_unlink(name) < 0)
		return errno;
	return use_shared(file, other);
}

int try_path(void)
{
	struct stat status = {.st_size = 0};
	char path[NAME_SIZE * 2];
	char name[NAME_SIZE];
	OWN_FD file = -1;
	int error;

	make_name(name);
	snprintf(path, sizeof path, "/dev/shm%s-path", name);
	file = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (file < 0)
		return errno;
	error = write(file, "x", 1) == 1 && stat(path, &status) == 0 ? 0 : errno;
	if (unlink(path) < 0)
		return errno;
	return error ? error : judge(0, status.st_size == 1);
}
