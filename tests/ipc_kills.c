/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ipc_kills KILLS SEED: processes that hold attachments, undo records, locks and messages, and that
 * wait for more, are killed at random moments, others take their places; in the end all counts must
 * be back, and no message lost or there twice. Exit status 0, or 1 and what is wrong. The shared
 * notes that tell that are plain memory, nothing of what is tested. See clients/test_ipc_kills.py.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { VICTIMS = 12, KILLS_MAX = 20000, NUMBERS_MAX = 1 << 22, VALUE = 1000, SEGMENT = 8192 };
enum { COUNTER, LOCK, NEVER, SEMAPHORES };
enum { ATTACHES, UNDOES, LOCKS, WAITS, SENDS, RECEIVES, KINDS };
enum { DATA = 1, END, NOBODYS };

/* Of one victim's. */
struct slot {
	atomic_int sent[2]; /* whose sending has returned: by msgsnd, by mq_send */
	int collected[2];   /* by the collectors */
};

static struct notes {
	atomic_int wrong, locked, is_over;
	atomic_int produced[2];
	struct slot slots[KINDS * (KILLS_MAX + VICTIMS)];
	atomic_uchar seen[2][NUMBERS_MAX]; /* how often each that was produced was received */
} *notes;

struct message {
	long type;
	int slot, number;
};

static int shm, sem, to_us, from_us;
static mqd_t mq_to_us, mq_from_us, mq_never;

static void complain(const char *what, long found, long wanted)
{
	printf("wrong: %s: %ld, not %ld (%s)\n", what, found, wanted, strerrorname_np(errno));
	fflush(stdout);
	notes->wrong++;
}

/* All that may fail does so only in a process that ends by it. */
static void insist(bool done, const char *what)
{
	if (done)
		return;
	complain(what, 0, 1);
	_exit(EXIT_FAILURE);
}

static void pause_at_random(int microseconds)
{
	struct timespec time = {0, rand() % (microseconds + 1) * 1000L};

	nanosleep(&time, NULL);
}

static void change(int which, int by, int flags)
{
	struct sembuf step = {(unsigned short)which, (short)by, (short)flags};

	insist(semop(sem, &step, 1) == 0, "semop");
}

static void attach(void)
{
	char *one = shmat(shm, NULL, 0), *other = shmat(shm, NULL, SHM_RDONLY);

	insist(one != (void *)-1 && other != (void *)-1, "shmat");
	one[rand() % SEGMENT] = 1;
	pause_at_random(300);
	if (rand() % 4 == 0) {
		pid_t parent = getpid(), child = fork();

		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != parent)
				_exit(0);
			shmdt(one);
			_exit(0);
		}
		insist(child > 0 && waitpid(child, NULL, 0) == child, "fork");
	}
	insist(shmdt(one) == 0 && shmdt(other) == 0, "shmdt");
}

static void undo(void)
{
	struct sembuf both[] = {{COUNTER, -3, SEM_UNDO}, {NEVER, 0, IPC_NOWAIT}};

	change(COUNTER, -2, SEM_UNDO);
	insist(semop(sem, both, 2) == 0, "semop of two");
	pause_at_random(200);
	change(COUNTER, 1, SEM_UNDO);
	change(COUNTER, 4, SEM_UNDO);
}

static void lock(void)
{
	change(LOCK, -1, SEM_UNDO);
	notes->locked++;
	pause_at_random(100);
	change(LOCK, 1, SEM_UNDO);
}

/* For ever. */
static void await_nothing(int slot)
{
	struct sembuf undoable[] = {{COUNTER, -1, SEM_UNDO}, {NEVER, -1, SEM_UNDO}};
	struct message message;
	struct timespec far = {1L << 33, 0};

	change(COUNTER, 7, SEM_UNDO);
	switch (slot / KINDS % 4) {
	case 0: semop(sem, undoable, 2); break;
	case 1: msgrcv(to_us, &message, sizeof message - sizeof message.type, NOBODYS, 0); break;
	case 2: mq_receive(mq_never, (char *)&message, sizeof message, NULL); break;
	case 3: mq_timedreceive(mq_never, (char *)&message, sizeof message, NULL, &far); break;
	}
	complain("one that waits for ever goes on", slot, -1);
	_exit(EXIT_FAILURE);
}

static void send_both(int slot)
{
	struct message message = {.type = DATA, .slot = slot};

	message.number = notes->slots[slot].sent[0];
	insist(msgsnd(to_us, &message, sizeof message - sizeof message.type, 0) == 0, "msgsnd");
	notes->slots[slot].sent[0]++;
	message.number = notes->slots[slot].sent[1];
	insist(mq_send(mq_to_us, (char *)&message, sizeof message, 1) == 0, "mq_send");
	notes->slots[slot].sent[1]++;
	pause_at_random(100);
}

static void receive_both(void)
{
	struct message message;

	insist(msgrcv(from_us, &message, sizeof message - sizeof message.type, 0, 0) > 0, "msgrcv");
	notes->seen[0][message.number]++;
	insist(mq_receive(mq_from_us, (char *)&message, sizeof message, NULL) > 0, "mq_receive");
	notes->seen[1][message.number]++;
}

static _Noreturn void be_victim(int slot)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	srand((unsigned)slot);
	for (;;)
		switch (slot % KINDS) {
		case ATTACHES: attach(); break;
		case UNDOES: undo(); break;
		case LOCKS: lock(); break;
		case WAITS: await_nothing(slot); break;
		case SENDS: send_both(slot); break;
		case RECEIVES: receive_both(); break;
		}
}

static void collect_one(const struct message *message, int way)
{
	int *next = &notes->slots[message->slot].collected[way];

	if (message->number != *next)
		complain("a message is not the next", message->number, *next);
	*next = message->number + 1;
}

static void collect_msg(void)
{
	struct message message = {.type = DATA};

	while (message.type == DATA) {
		insist(msgrcv(to_us, &message, sizeof message - sizeof message.type, -END, 0) > 0,
		       "msgrcv");
		if (message.type == DATA)
			collect_one(&message, 0);
	}
}

static void collect_mq(void)
{
	struct message message = {.type = DATA};

	while (message.type == DATA) {
		insist(mq_receive(mq_to_us, (char *)&message, sizeof message, NULL) > 0,
		       "mq_receive");
		if (message.type == DATA)
			collect_one(&message, 1);
	}
}

/* Slows down when there is more than anybody takes: the queue is full. */
static void produce_msg(void)
{
	struct message message = {.type = DATA};

	for (; !notes->is_over && message.number < NUMBERS_MAX; message.number++) {
		insist(msgsnd(from_us, &message, sizeof message - sizeof message.type, 0) == 0,
		       "msgsnd");
		notes->produced[0]++;
	}
}

static void produce_mq(void)
{
	struct message message = {.type = DATA};

	for (; !notes->is_over && message.number < NUMBERS_MAX; message.number++) {
		insist(mq_send(mq_from_us, (char *)&message, sizeof message, 0) == 0, "mq_send");
		notes->produced[1]++;
	}
}

static pid_t start(void (*body)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		body();
		_exit(EXIT_SUCCESS);
	}
	insist(pid > 0, "fork");
	return pid;
}

static pid_t start_victim(int slot)
{
	pid_t pid = fork();

	if (pid == 0)
		be_victim(slot);
	insist(pid > 0, "fork");
	return pid;
}

static void kill_victim(pid_t pid)
{
	int status = 0;

	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		complain("a victim ended by itself", WEXITSTATUS(status), SIGKILL);
	/* Its child dies a moment later, and is ours by then. */
	while (waitpid(-pid, NULL, 0) > 0)
		;
}

static mqd_t make_mq(const char *name)
{
	struct mq_attr attributes = {.mq_maxmsg = 8, .mq_msgsize = sizeof(struct message)};
	mqd_t queue;

	mq_unlink(name);
	queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
	insist(queue >= 0 && mq_unlink(name) == 0, "mq_open");
	return queue;
}

static void make_all(void)
{
	const int access = PROT_READ | PROT_WRITE;

	notes = mmap(NULL, sizeof *notes, access, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (notes == MAP_FAILED)
		abort();
	shm = shmget(IPC_PRIVATE, SEGMENT, 0600);
	sem = semget(IPC_PRIVATE, SEMAPHORES, 0600);
	to_us = msgget(IPC_PRIVATE, 0600);
	from_us = msgget(IPC_PRIVATE, 0600);
	insist(shm >= 0 && sem >= 0 && to_us >= 0 && from_us >= 0, "make all");
	mq_to_us = make_mq("/to-us");
	mq_from_us = make_mq("/from-us");
	mq_never = make_mq("/never");
	change(COUNTER, VALUE, 0);
	change(LOCK, 1, 0);
}

static void expect(const char *what, long found, long wanted)
{
	if (found != wanted)
		complain(what, found, wanted);
}

/* Only what processes held that are gone by now, since their end was waited for. */
static void check_counts(void)
{
	struct shmid_ds segment = {.shm_nattch = 77};

	expect("IPC_STAT", shmctl(shm, IPC_STAT, &segment), 0);
	expect("attachments", (long)segment.shm_nattch, 0);
	expect("the counter", semctl(sem, COUNTER, GETVAL), VALUE);
	expect("the lock", semctl(sem, LOCK, GETVAL), 1);
	expect("what is never given", semctl(sem, NEVER, GETVAL), 0);
	for (int i = 0; i < SEMAPHORES; i++) {
		expect("waiting for more", semctl(sem, i, GETNCNT), 0);
		expect("waiting for zero", semctl(sem, i, GETZCNT), 0);
	}
}

/* What victims sent: all that had been sent for sure, and at most one more. */
static void check_sent(int slots)
{
	for (int i = 0; i < slots; i++)
		for (int way = 0; way < 2; way++) {
			int more = notes->slots[i].collected[way] - notes->slots[i].sent[way];

			if (more != 0 && more != 1)
				complain("messages of a victim", more, 0);
		}
}

/* What victims received: none twice, and none lost but in the hands of one that was killed. */
static long check_received(int way, int receivers)
{
	long missing = 0;

	for (int i = 0; i < notes->produced[way]; i++) {
		missing += notes->seen[way][i] == 0;
		if (notes->seen[way][i] > 1)
			complain("received twice", i, way);
	}
	if (missing > receivers)
		complain("messages are lost", missing, receivers);
	return missing;
}

static void drain(void)
{
	static const struct timespec past = {1, 0};
	struct message message;

	while (msgrcv(from_us, &message, sizeof message - sizeof message.type, 0, IPC_NOWAIT) > 0)
		notes->seen[0][message.number]++;
	while (mq_timedreceive(mq_from_us, (char *)&message, sizeof message, NULL, &past) > 0)
		notes->seen[1][message.number]++;
}

static bool is_running(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == 0;
}

static void end_others(const pid_t *collectors, const pid_t *producers)
{
	struct message end = {.type = END};
	bool running[2] = {true, true};

	insist(msgsnd(to_us, &end, sizeof end - sizeof end.type, 0) == 0, "msgsnd");
	insist(mq_send(mq_to_us, (char *)&end, sizeof end, 0) == 0, "mq_send");
	waitpid(collectors[0], NULL, 0);
	waitpid(collectors[1], NULL, 0);
	notes->is_over = 1;
	while (running[0] || running[1]) {
		drain();
		for (int i = 0; i < 2; i++)
			running[i] = running[i] && is_running(producers[i]);
		pause_at_random(1000);
	}
	drain();
}

int main(int argc, char **argv)
{
	int kills = argc > 1 ? atoi(argv[1]) : 100, slots = 0, receivers = 0;
	pid_t victims[VICTIMS], collectors[2], producers[2];
	long missing;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	make_all();
	srand(argc > 2 ? (unsigned)atoi(argv[2]) : 1);
	insist(kills <= KILLS_MAX, "kills");
	collectors[0] = start(collect_msg);
	collectors[1] = start(collect_mq);
	producers[0] = start(produce_msg);
	producers[1] = start(produce_mq);
	while (slots < VICTIMS) {
		victims[slots] = start_victim(slots);
		slots++;
	}
	for (int i = 0; i < kills; i++) {
		/* Who comes next is of the kind of who went: there are always some of each. */
		int which = rand() % VICTIMS;

		pause_at_random(6000);
		kill_victim(victims[which]);
		while (slots % KINDS != which % KINDS)
			slots++;
		insist(slots < KINDS * KILLS_MAX, "slots");
		receivers += slots % KINDS == RECEIVES;
		victims[which] = start_victim(slots++);
	}
	for (int i = 0; i < VICTIMS; i++)
		kill_victim(victims[i]);
	check_counts();
	end_others(collectors, producers);
	check_sent(slots);
	missing = check_received(0, receivers + VICTIMS) + check_received(1, receivers + VICTIMS);
	expect("removed", shmctl(shm, IPC_RMID, NULL) + semctl(sem, 0, IPC_RMID) +
	                  msgctl(to_us, IPC_RMID, NULL) + msgctl(from_us, IPC_RMID, NULL), 0);
	/* After one kill, some milliseconds, nobody may have come that far. */
	expect("the lock was had", notes->locked > 0 || kills == 1, 1);
	printf("killed %d, locked %d, received %d and %d, %ld died with who took them\n", kills,
	       notes->locked, notes->produced[0], notes->produced[1], missing);
	return notes->wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}
