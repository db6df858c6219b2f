/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* By libc's syscall(); and that what is not ours passes, with all of its arguments. */
#define FAMILY "raw"
#include "tests/probes/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define NAME "/queue"

enum { KEY = 0x5e6d0601, PAGE = 4096 };

struct message {
	long type;
	char text[8];
};

/* Both ways reach the same objects. */
static void ask_shm(void)
{
	struct shmid_ds status;
	long id = syscall(SYS_shmget, KEY, (size_t)PAGE, IPC_CREAT | IPC_EXCL | 0600);
	char *memory, *other;

	ask("shmget", id);
	ask_whether("the same by libc", shmget(KEY, 0, 0) == id);
	ask("shmget, exclusive", syscall(SYS_shmget, KEY, (size_t)PAGE, IPC_CREAT | IPC_EXCL));
	memory = (char *)syscall(SYS_shmat, (int)id, NULL, 0);
	other = shmat((int)id, NULL, 0);
	must(memory != (void *)-1 && other != (void *)-1);
	strcpy(memory, "raw");
	tell("shmat", "%s", other);
	ask("shmctl", syscall(SYS_shmctl, (int)id, IPC_STAT, &status));
	tell("attached", "%lu", (unsigned long)status.shm_nattch);
	ask("shmdt", syscall(SYS_shmdt, memory));
	ask("shmdt again", syscall(SYS_shmdt, memory));
	ask("shmdt by libc", shmdt(other));
	ask("shmat of nothing", syscall(SYS_shmat, -1, NULL, 0));
	ask("removed", syscall(SYS_shmctl, (int)id, IPC_RMID, NULL));
	ask("gone", shmget(KEY, 0, 0));
}

/* The 32-bit kernel has no such calls but by way of ipc(2). */
#ifdef SYS_semop
static long raw_semop(long id, struct sembuf *steps, size_t count)
{
	return syscall(SYS_semop, (int)id, steps, count);
}

static long raw_semtimedop(long id, struct sembuf *steps, size_t count, struct timespec *time)
{
	return syscall(SYS_semtimedop, (int)id, steps, count, time);
}
#else
enum { CALL_SEMOP = 1, CALL_SEMTIMEDOP = 4 };

static long raw_semop(long id, struct sembuf *steps, size_t count)
{
	return syscall(SYS_ipc, CALL_SEMOP, (int)id, count, 0, steps, 0);
}

static long raw_semtimedop(long id, struct sembuf *steps, size_t count, struct timespec *time)
{
	return syscall(SYS_ipc, CALL_SEMTIMEDOP, (int)id, count, 0, steps, time);
}
#endif

static void ask_sem(void)
{
	struct semid_ds status;
	struct sembuf up = {0, 3, 0}, down = {0, -9, 0};
	struct timespec soon = {0, 1000000};
	unsigned short values[2] = {0};
	long id = syscall(SYS_semget, KEY, 2, IPC_CREAT | IPC_EXCL | 0600);

	ask("semget", id);
	ask_whether("the same by libc", semget(KEY, 0, 0) == id);
	ask("semop", raw_semop(id, &up, 1));
	ask("semtimedop", raw_semtimedop(id, &down, 1, &soon));
	ask_value("GETVAL", syscall(SYS_semctl, (int)id, 0, GETVAL));
	ask("SETVAL", syscall(SYS_semctl, (int)id, 1, SETVAL, 7UL));
	ask("GETALL", syscall(SYS_semctl, (int)id, 0, GETALL, values));
	tell("values", "%d %d", values[0], values[1]);
	ask("IPC_STAT", syscall(SYS_semctl, (int)id, 0, IPC_STAT, &status));
	tell("semaphores", "%lu", status.sem_nsems);
	ask("removed", syscall(SYS_semctl, (int)id, 0, IPC_RMID));
	ask("gone", syscall(SYS_semget, KEY, 0, 0));
}

static void ask_msg(void)
{
	struct message message = {5, "raw"};
	struct msqid_ds status;
	long id = syscall(SYS_msgget, KEY, IPC_CREAT | IPC_EXCL | 0600);

	ask("msgget", id);
	ask_whether("the same by libc", msgget(KEY, 0) == id);
	ask("msgsnd", syscall(SYS_msgsnd, (int)id, &message, (size_t)4, 0));
	ask("msgsnd of type 0", syscall(SYS_msgsnd, (int)id, &(struct message){0}, (size_t)4, 0));
	ask("msgctl", syscall(SYS_msgctl, (int)id, IPC_STAT, &status));
	tell("messages", "%lu", (unsigned long)status.msg_qnum);
	message.text[0] = '\0';
	ask_value("msgrcv", syscall(SYS_msgrcv, (int)id, &message, (size_t)8, -9L, IPC_NOWAIT));
	tell("that", "%ld %s", message.type, message.text);
	ask("msgrcv of none", syscall(SYS_msgrcv, (int)id, &message, (size_t)8, 0L, IPC_NOWAIT));
	ask("removed", syscall(SYS_msgctl, (int)id, IPC_RMID, NULL));
	ask("gone", syscall(SYS_msgget, KEY, 0));
}

/* The kernel's names have no slash; its mq_notify knows no threads. */
static void ask_mq(void)
{
	struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = 8}, old = {0};
	struct sigevent event = {.sigev_notify = SIGEV_NONE};
	struct timespec past = {1, 0};
	unsigned priority = 0;
	char text[8] = "";
	long queue = syscall(SYS_mq_open, &NAME[1], O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
	mqd_t other = mq_open(NAME, O_RDWR);

	ask("mq_open", queue);
	ask("the same by libc", other);
	ask("mq_open with a slash", syscall(SYS_mq_open, NAME, O_RDWR, 0, NULL));
	ask("mq_timedsend", syscall(SYS_mq_timedsend, (int)queue, "raw", (size_t)3, 4U, NULL));
	ask("mq_getsetattr", syscall(SYS_mq_getsetattr, (int)queue, NULL, &old));
	tell("messages", "%ld of %ld", old.mq_curmsgs, old.mq_maxmsg);
	ask_value("mq_timedreceive",
	          syscall(SYS_mq_timedreceive, other, text, (size_t)8, &priority, NULL));
	tell("that", "%s %u", text, priority);
	ask("mq_timedreceive of none",
	    syscall(SYS_mq_timedreceive, (int)queue, text, (size_t)8, NULL, &past));
	attributes.mq_flags = O_NONBLOCK;
	ask("mq_getsetattr, not waiting",
	    syscall(SYS_mq_getsetattr, (int)queue, &attributes, NULL));
	ask("mq_receive then", mq_receive((mqd_t)queue, text, 8, NULL));
	ask("mq_notify", syscall(SYS_mq_notify, (int)queue, &event));
	ask("mq_notify again", mq_notify(other, &event));
	ask("mq_notify, removing", syscall(SYS_mq_notify, (int)queue, NULL));
	must(close((int)queue) == 0 && mq_close(other) == 0);
	ask("mq_unlink with a slash", syscall(SYS_mq_unlink, NAME));
	ask("mq_unlink", syscall(SYS_mq_unlink, &NAME[1]));
	ask("gone", mq_unlink(NAME));
}

static void *wake(void *argument)
{
	uint32_t *words = argument;

	while (syscall(SYS_futex, &words[0], FUTEX_CMP_REQUEUE, 1, (void *)1L, &words[1], 0) == 0)
		ipc_pause(1);
	return NULL;
}

/* A file in the temporary folder: nothing of ours. */
static int plain_file(void)
{
	const char *folder = getenv("TMPDIR");
	int fd = open(folder ? folder : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	must(fd >= 0);
	return fd;
}

/* Calls that look at their sixth argument. */
static void ask_six(void)
{
	static uint32_t words[2];
	int fd = plain_file(), pipes[2];
	struct timespec soon = {0, 20000000};
	struct {
		const sigset_t *set;
		size_t size;
	} mask = {NULL, 8}, bad = {NULL, 0};
	sigset_t set;
	fd_set readable;
	char text[] = "raw";
	struct iovec part = {text, 3};
	pthread_t thread;
	char *memory;

	must(pwrite(fd, "second", 7, PAGE) == 7);
	memory = (char *)syscall(SYS_mmap, NULL, (size_t)PAGE, PROT_READ, MAP_PRIVATE, fd,
	                         (off_t)PAGE);
	tell("mmap", "%s", memory == MAP_FAILED ? outcome(-1) : memory);
	must(pipe(pipes) == 0);
	FD_ZERO(&readable);
	FD_SET(pipes[0], &readable);
	ask_value("pselect6",
	          syscall(SYS_pselect6, pipes[0] + 1, &readable, NULL, NULL, &soon, &mask));
	sigemptyset(&set);
	bad.set = &set;
	ask("pselect6 with a bad sixth",
	    syscall(SYS_pselect6, 0, NULL, NULL, NULL, &soon, &bad));
	must(pthread_create(&thread, NULL, wake, words) == 0);
	ask("futex", syscall(SYS_futex, &words[0], FUTEX_WAIT_BITSET, 0, NULL, NULL, 1));
	must(pthread_join(thread, NULL) == 0);
	ask("futex with a bad sixth",
	    syscall(SYS_futex, &words[0], FUTEX_WAIT_BITSET, 0, NULL, NULL, 0));
	ask("futex, another value",
	    syscall(SYS_futex, &words[0], FUTEX_WAIT_BITSET, 1, NULL, NULL, 1));
	ask_value("pwritev2", syscall(SYS_pwritev2, fd, &part, 1UL, 10L, 0L, 0));
	ask("pwritev2 with a bad sixth",
	    syscall(SYS_pwritev2, fd, &part, 1UL, 10L, 0L, 0x40000000));
	ask_value("copy_file_range",
	          syscall(SYS_copy_file_range, fd, &(loff_t){10}, fd, &(loff_t){100}, 3UL, 0U));
	ask("copy_file_range with a bad sixth",
	    syscall(SYS_copy_file_range, fd, &(loff_t){10}, fd, &(loff_t){100}, (size_t)3, 1U));
	close(fd);
}

static void ask_others(void)
{
	ask_whether("getpid", syscall(SYS_getpid) == getpid());
	ask_whether("gettid", syscall(SYS_gettid) == gettid());
	ask("no such call", syscall(100000));
	ask("call -1", syscall(-1));
	ask("close of nothing", syscall(SYS_close, -1));
	errno = EDOM;
	ask("errno is left alone", syscall(SYS_getuid) >= 0 && errno == EDOM ? 0 : -1);
}

static const struct ipc_group groups[] = {
	{"shm", ask_shm}, {"sem", ask_sem}, {"msg", ask_msg}, {"mq", ask_mq}, {"six", ask_six},
	{"others", ask_others}, {NULL, NULL},
};

static void body(void)
{
	ipc_run(groups);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
