/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What others may do with one's objects: owners, groups, the creator, root. */
#define FAMILY "rights"
#include "tests/probes/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <mqueue.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ONE = 1001, TWO = 1002, GROUP = 2001, KEY = 0x5e6d0501 };

#define NAME "/queue"

union semun {
	int val;
	struct semid_ds *buf;
};

static int shm, sem, msg;

/* Whom to be, and what to ask then. */
struct role {
	const char *name;
	uid_t uid;
	gid_t gid, more;
};

static const struct role roles[] = {
	{"the creator", ONE, ONE, ONE},
	{"another", TWO, TWO, TWO},
	{"one of the group", TWO, GROUP, TWO},
	{"one of the group besides", TWO, TWO, GROUP},
	{"root", 0, 0, 0},
};

enum { ROLES = sizeof roles / sizeof roles[0] };

static void become(const struct role *role)
{
	must(setgroups(1, &role->more) == 0 && setresgid(role->gid, role->gid, role->gid) == 0 &&
	     setresuid(role->uid, role->uid, role->uid) == 0);
}

static void make(void *argument)
{
	mode_t mode = *(mode_t *)argument;
	mqd_t queue;

	become(&(struct role){"", ONE, GROUP, GROUP});
	umask(0);
	shm = shmget(KEY, 4096, IPC_CREAT | IPC_EXCL | (int)mode);
	sem = semget(KEY, 2, IPC_CREAT | IPC_EXCL | (int)mode);
	msg = msgget(KEY, IPC_CREAT | IPC_EXCL | (int)mode);
	queue = mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, mode, NULL);
	must(shm >= 0 && sem >= 0 && msg >= 0 && queue >= 0);
}

static void find(void)
{
	shm = shmget(KEY, 0, 0);
	sem = semget(KEY, 0, 0);
	msg = msgget(KEY, 0);
	must(shm >= 0 && sem >= 0 && msg >= 0);
}

static void drop(void)
{
	must(shmctl(shm, IPC_RMID, NULL) == 0 && semctl(sem, 0, IPC_RMID) == 0);
	must(msgctl(msg, IPC_RMID, NULL) == 0 && mq_unlink(NAME) == 0);
}

static const char *try_attach(int flags)
{
	char *memory = shmat(shm, NULL, flags);

	if (memory == (void *)-1)
		return outcome(-1);
	must(shmdt(memory) == 0);
	return "ok";
}

static const char *try_queue(int flags)
{
	mqd_t queue = mq_open(NAME, flags);

	if (queue < 0)
		return outcome(-1);
	must(mq_close(queue) == 0);
	return "ok";
}

static void use(const char *who, mode_t mode)
{
	struct shmid_ds shm_status;
	struct semid_ds sem_status;
	struct msqid_ds msg_status;
	struct {
		long type;
		char text[8];
	} message = {1, ""};
	struct sembuf up = {0, 1, 0}, zero = {1, 0, 0};

	say("{rights: %s, mode %o, found} %s %s %s", who, mode, outcome(shmget(KEY, 0, 0600)),
	    outcome(semget(KEY, 0, 0600)), outcome(msgget(KEY, 0600)));
	say("{rights: %s, mode %o, found for reading} %s %s %s", who, mode,
	    outcome(shmget(KEY, 0, 0444)), outcome(semget(KEY, 0, 0040)),
	    outcome(msgget(KEY, 0004)));
	say("{rights: %s, mode %o, attach} %s %s", who, mode, try_attach(0),
	    try_attach(SHM_RDONLY));
	say("{rights: %s, mode %o, operate} %s %s", who, mode, outcome(semop(sem, &up, 1)),
	    outcome(semop(sem, &zero, 1)));
	say("{rights: %s, mode %o, send} %s", who, mode, outcome(msgsnd(msg, &message, 1, 0)));
	say("{rights: %s, mode %o, receive} %s", who, mode,
	    outcome(msgrcv(msg, &message, 8, 0, IPC_NOWAIT)));
	say("{rights: %s, mode %o, state} %s %s %s", who, mode,
	    outcome(shmctl(shm, IPC_STAT, &shm_status)),
	    outcome(semctl(sem, 0, IPC_STAT, (union semun){.buf = &sem_status})),
	    outcome(msgctl(msg, IPC_STAT, &msg_status)));
	say("{rights: %s, mode %o, value} %s %s", who, mode, outcome(semctl(sem, 0, GETVAL)),
	    outcome(semctl(sem, 0, SETVAL, (union semun){.val = 0})));
	say("{rights: %s, mode %o, queue} %s %s %s", who, mode, try_queue(O_RDONLY),
	    try_queue(O_WRONLY), try_queue(O_RDWR));
	say("{rights: %s, mode %o, lock} %s", who, mode, outcome(shmctl(shm, SHM_LOCK, NULL)));
}

struct looked {
	const struct role *role;
	mode_t mode;
};

static void look(void *argument)
{
	const struct looked *looked = argument;

	become(looked->role);
	use(looked->role->name, looked->mode);
}

static void ask_uses(void)
{
	static const mode_t modes[] = {0600, 0060, 0006, 0640, 0020, 0777, 0000, 0066};

	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		mode_t mode = modes[i];

		must(in_child(make, &mode) == 0);
		find();
		for (int j = 0; j < ROLES; j++)
			in_child(look, &(struct looked){&roles[j], mode});
		drop();
	}
}

/* Sets and removes: only for the owner and the creator, whatever the mode. */
static void change(void *argument)
{
	const struct role *role = argument;
	struct shmid_ds shm_status = {.shm_perm = {.mode = 0777, .uid = ONE, .gid = GROUP}};
	struct semid_ds sem_status = {.sem_perm = {.mode = 0777, .uid = ONE, .gid = GROUP}};
	struct msqid_ds msg_status = {.msg_perm = {.mode = 0777, .uid = ONE, .gid = GROUP}};

	become(role);
	msg_status.msg_qbytes = 1000;
	say("{rights: %s, set} %s %s %s", role->name, outcome(shmctl(shm, IPC_SET, &shm_status)),
	    outcome(semctl(sem, 0, IPC_SET, (union semun){.buf = &sem_status})),
	    outcome(msgctl(msg, IPC_SET, &msg_status)));
	say("{rights: %s, remove} %s %s %s %s", role->name, outcome(shmctl(shm, IPC_RMID, NULL)),
	    outcome(semctl(sem, 0, IPC_RMID)), outcome(msgctl(msg, IPC_RMID, NULL)),
	    outcome(mq_unlink(NAME)));
}

static void ask_changes(void)
{
	mode_t mode = 0777;

	for (int i = 0; i < ROLES; i++) {
		must(in_child(make, &mode) == 0);
		find();
		in_child(change, (void *)(uintptr_t)&roles[i]);
		shmctl(shm, IPC_RMID, NULL);
		semctl(sem, 0, IPC_RMID);
		msgctl(msg, IPC_RMID, NULL);
		mq_unlink(NAME);
	}
}

/* Given to another: both may. */
static void give_away(void *argument)
{
	struct shmid_ds shm_status;
	struct semid_ds sem_status;
	struct msqid_ds msg_status;

	(void)argument;
	become(&roles[0]);
	must(shmctl(shm, IPC_STAT, &shm_status) == 0 && msgctl(msg, IPC_STAT, &msg_status) == 0);
	must(semctl(sem, 0, IPC_STAT, (union semun){.buf = &sem_status}) == 0);
	shm_status.shm_perm.uid = sem_status.sem_perm.uid = msg_status.msg_perm.uid = TWO;
	say("{rights: given away} %s %s %s", outcome(shmctl(shm, IPC_SET, &shm_status)),
	    outcome(semctl(sem, 0, IPC_SET, (union semun){.buf = &sem_status})),
	    outcome(msgctl(msg, IPC_SET, &msg_status)));
}

static void ask_gifts(void)
{
	mode_t mode = 0600;

	for (int i = 0; i < ROLES; i++) {
		must(in_child(make, &mode) == 0);
		find();
		must(in_child(give_away, NULL) == 0);
		say("{rights: once given away} %s", roles[i].name);
		in_child(look, &(struct looked){&roles[i], mode});
		in_child(change, (void *)(uintptr_t)&roles[i]);
		shmctl(shm, IPC_RMID, NULL);
		semctl(sem, 0, IPC_RMID);
		msgctl(msg, IPC_RMID, NULL);
		mq_unlink(NAME);
	}
}

/* So often that the library has them in its own memory. */
static void use_often(void)
{
	struct {
		long type;
	} empty = {1};

	for (int i = 0; i < 8; i++)
		must(semop(sem, &(struct sembuf){0, 1, 0}, 1) == 0 &&
		     msgsnd(msg, &empty, 0, IPC_NOWAIT) == 0 &&
		     msgrcv(msg, &empty, 0, 0, IPC_NOWAIT) == 0);
}

static void ask_as(const char *whom)
{
	struct {
		long type;
	} empty = {1};

	say("{rights: as %s, operate} %s", whom,
	    outcome(semop(sem, &(struct sembuf){0, 1, IPC_NOWAIT}, 1)));
	say("{rights: as %s, send} %s", whom, outcome(msgsnd(msg, &empty, 0, IPC_NOWAIT)));
	say("{rights: as %s, receive} %s", whom, outcome(msgrcv(msg, &empty, 0, 0, IPC_NOWAIT)));
}

/* What a process had when it changed who it is. */
static void keep(void *argument)
{
	mqd_t queue = mq_open(NAME, O_RDWR);
	char *memory = shmat(shm, NULL, 0);

	(void)argument;
	must(queue >= 0 && memory != (void *)-1);
	use_often();
	ask_as("root");
	must(seteuid(TWO) == 0);
	ask_as("another for a while");
	must(seteuid(0) == 0);
	ask_as("root again");
	must(setresgid(TWO, TWO, TWO) == 0 && setgroups(0, NULL) == 0 &&
	     setresuid(TWO, TWO, TWO) == 0);
	memory[0] = 'k';
	ask("then, send by what is open", mq_send(queue, "x", 1, 0));
	tell("then, open", "%s", try_queue(O_RDONLY));
	tell("then, attach", "%s", try_attach(0));
	ask("then, detach", shmdt(memory));
	ask("then, operate", semop(sem, &(struct sembuf){0, 1, SEM_UNDO}, 1));
	ask_as("another");
}

static void ask_setuid(void)
{
	mode_t mode = 0600;

	must(in_child(make, &mode) == 0);
	find();
	must(in_child(keep, NULL) == 0);
	drop();
}

static const struct ipc_group groups[] = {
	{"uses", ask_uses}, {"changes", ask_changes}, {"gifts", ask_gifts}, {"setuid", ask_setuid},
	{NULL, NULL},
};

static void body(void)
{
	if (geteuid() != 0)
		skip("needs root");
	ipc_run(groups);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
