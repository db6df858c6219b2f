/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

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

static int try_segment(void)
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

static int try_semaphore(void)
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

static int try_messages(void)
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

static int try_queue(void)
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

static int try_sem_open(void)
{
	char name[NAME_SIZE];
	sem_t *semaphore;

	make_name(name);
	semaphore = sem_open(name, O_CREAT | O_EXCL, 0600, 1);
	if (semaphore == SEM_FAILED || sem_unlink(name) < 0 || sem_trywait(semaphore) < 0)
		return errno;
	return judge(sem_close(semaphore), true);
}

static const struct trial {
	const char *name;
	int (*attempt)(void);
} trials[] = {
	{"System V shared memory", try_segment},
	{"System V semaphores", try_semaphore},
	{"System V messages", try_messages},
	{"message queues", try_queue},
	{"sem_open", try_sem_open},
};

const size_t trial_count = sizeof trials / sizeof trials[0];

const char *trial_name(size_t trial)
{
	return trials[trial].name;
}

int trial_run(size_t trial)
{
	const struct rlimit no_core = {0, 0};
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		_exit(trials[trial].attempt());
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return errno;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

const char *trial_words(int result)
{
	if (result == -SIGSYS)
		return "it ends the process by a SIGSYS";
	if (result < 0)
		return strsignal(-result);
	return result == EREMCHG ? "it does not do what it is for" : strerror(result);
}
