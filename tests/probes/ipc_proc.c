/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What /proc/sysvipc tells of all objects, and what /proc/sys/kernel says that counts at once. */
#define FAMILY "proc"
#include "tests/probes/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY = 0x5e6d0701, SIZE = 3 * 4096 + 100, INDEXES = 32768 };

#define FOLDER "/proc/sysvipc/"
#define KERNEL "/proc/sys/kernel/"

union semun {
	int val;
	struct semid_ds *buf;
};

/* Not to be kept: one of two. */
static const char *text_of(const char *path)
{
	static char texts[2][1 << 16];
	static unsigned next;
	char *text = texts[next++ % 2];
	FILE *file = fopen(path, "re");
	size_t size;

	must(file != NULL);
	size = fread(text, 1, sizeof texts[0] - 1, file);
	text[size] = '\0';
	must(!ferror(file) && fclose(file) == 0);
	return text;
}

static int rows_of(const char *path)
{
	int lines = 0;

	for (const char *at = text_of(path); (at = strchr(at, '\n')); at++)
		lines++;
	return lines - 1;
}

/* The first line, or the whole line that has this in it; "" if there is none. */
static const char *line_of(const char *path, const char *part)
{
	static char line[512];
	const char *text = text_of(path);
	const char *found = part ? strstr(text, part) : text;

	line[0] = '\0';
	if (!found)
		return line;
	while (found > text && found[-1] != '\n')
		found--;
	snprintf(line, sizeof line, "%.*s", (int)strcspn(found, "\n"), found);
	return line;
}

static const char *row_of(const char *path, int id)
{
	char part[32];

	snprintf(part, sizeof part, " %10d ", id);
	return line_of(path, part);
}

static void tell_equal(const char *what, const char *line, const char *wanted)
{
	if (strcmp(line, wanted) == 0)
		say("{proc: %s} as it is to be", what);
	else
		say("{proc: %s} \"%s\", not \"%s\"", what, line, wanted);
}

/* `rss`: bytes. */
static void tell_shm(const char *what, int id, unsigned long rss)
{
	struct shmid_ds status;
	char wanted[512];

	must(shmctl(id % INDEXES, SHM_STAT_ANY, &status) == id);
	snprintf(wanted, sizeof wanted,
	         "%10d %10d  %4o %21lu %5u %5u  %5lu %5u %5u %5u %5u %10llu %10llu %10llu %21lu "
	         "%21lu",
	         status.shm_perm.__key, id, status.shm_perm.mode, (unsigned long)status.shm_segsz,
	         (unsigned)status.shm_cpid, (unsigned)status.shm_lpid, status.shm_nattch,
	         status.shm_perm.uid, status.shm_perm.gid, status.shm_perm.cuid,
	         status.shm_perm.cgid, (unsigned long long)status.shm_atime,
	         (unsigned long long)status.shm_dtime, (unsigned long long)status.shm_ctime, rss,
	         0UL);
	tell_equal(what, row_of(FOLDER "shm", id), wanted);
}

static void ask_shm(void)
{
	int one, other;
	char *memory;

	tell("shm, head", "%s", line_of(FOLDER "shm", NULL));
	tell("shm, rows of none", "%d", rows_of(FOLDER "shm"));
	one = shmget(KEY, SIZE, IPC_CREAT | IPC_EXCL | 0640);
	other = shmget(-KEY, 1, IPC_CREAT | IPC_EXCL);
	must(one >= 0 && other >= 0);
	tell_shm("shm, new", one, 0);
	tell_shm("shm, negative key, mode 0", other, 0);
	memory = shmat(one, NULL, 0);
	must(memory != (void *)-1);
	memory[0] = memory[8192] = 's';
	tell_shm("shm, attached", one, 8192);
	must(shmctl(one, IPC_RMID, NULL) == 0);
	tell_shm("shm, removed", one, 8192);
	tell("shm, rows", "%d", rows_of(FOLDER "shm"));
	must(shmdt(memory) == 0 && shmctl(other, IPC_RMID, NULL) == 0);
	tell("shm, rows in the end", "%d", rows_of(FOLDER "shm"));
}

static void tell_sem(const char *what, int id)
{
	struct semid_ds status;
	char wanted[512];

	must(semctl(id % INDEXES, 0, SEM_STAT_ANY, (union semun){.buf = &status}) == id);
	snprintf(wanted, sizeof wanted, "%10d %10d  %4o %10lu %5u %5u %5u %5u %10llu %10llu",
	         status.sem_perm.__key, id, status.sem_perm.mode, status.sem_nsems,
	         status.sem_perm.uid, status.sem_perm.gid, status.sem_perm.cuid,
	         status.sem_perm.cgid, (unsigned long long)status.sem_otime,
	         (unsigned long long)status.sem_ctime);
	tell_equal(what, row_of(FOLDER "sem", id), wanted);
}

static void ask_sem(void)
{
	struct sembuf up = {1, 3, 0};
	int one, other;

	tell("sem, head", "%s", line_of(FOLDER "sem", NULL));
	one = semget(KEY, 5, IPC_CREAT | IPC_EXCL | 0604);
	other = semget(IPC_PRIVATE, 1, 0);
	must(one >= 0 && other >= 0);
	tell_sem("sem, new", one);
	tell_sem("sem, mode 0", other);
	/* So often that the library has it in its own memory. */
	for (int i = 0; i < 6; i++)
		must(semop(one, &up, 1) == 0);
	tell_sem("sem, used", one);
	tell("sem, rows", "%d", rows_of(FOLDER "sem"));
	must(semctl(one, 0, IPC_RMID) == 0 && semctl(other, 0, IPC_RMID) == 0);
	tell("sem, rows in the end", "%d", rows_of(FOLDER "sem"));
}

static void tell_msg(const char *what, int id)
{
	struct msqid_ds status;
	char wanted[512];

	must(msgctl(id % INDEXES, MSG_STAT_ANY, &status) == id);
	snprintf(wanted, sizeof wanted,
	         "%10d %10d  %4o  %10lu %10lu %5u %5u %5u %5u %5u %5u %10llu %10llu %10llu",
	         status.msg_perm.__key, id, status.msg_perm.mode, status.__msg_cbytes,
	         status.msg_qnum, (unsigned)status.msg_lspid, (unsigned)status.msg_lrpid,
	         status.msg_perm.uid, status.msg_perm.gid, status.msg_perm.cuid,
	         status.msg_perm.cgid, (unsigned long long)status.msg_stime,
	         (unsigned long long)status.msg_rtime, (unsigned long long)status.msg_ctime);
	tell_equal(what, row_of(FOLDER "msg", id), wanted);
}

static void ask_msg(void)
{
	struct {
		long type;
		char text[32];
	} message = {1, ""};
	int one, other;

	tell("msg, head", "%s", line_of(FOLDER "msg", NULL));
	one = msgget(KEY, IPC_CREAT | IPC_EXCL | 0660);
	other = msgget(IPC_PRIVATE, 0);
	must(one >= 0 && other >= 0);
	tell_msg("msg, new", one);
	tell_msg("msg, mode 0", other);
	for (size_t i = 0; i < 7; i++)
		must(msgsnd(one, &message, i, 0) == 0);
	must(msgrcv(one, &message, sizeof message.text, 0, 0) == 0);
	tell_msg("msg, used", one);
	tell("msg, rows", "%d", rows_of(FOLDER "msg"));
	must(msgctl(one, IPC_RMID, NULL) == 0 && msgctl(other, IPC_RMID, NULL) == 0);
	tell("msg, rows in the end", "%d", rows_of(FOLDER "msg"));
}

/* More than one answer of the daemon's has. */
static void ask_many(void)
{
	enum { MANY = 300 };
	int ids[MANY], wrong = 0;

	for (int i = 0; i < MANY; i++)
		must((ids[i] = msgget(IPC_PRIVATE, 0600)) >= 0);
	tell("many, rows", "%d", rows_of(FOLDER "msg"));
	for (int i = 0; i < MANY; i++)
		wrong += !*row_of(FOLDER "msg", ids[i]);
	tell("many, missing", "%d", wrong);
	for (int i = 0; i < MANY; i++)
		must(msgctl(ids[i], IPC_RMID, NULL) == 0);
}

int __open_2(const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags);

/* Is it what was just made? */
static bool is_ours(int fd, int id)
{
	static char text[1 << 14];
	char part[32];
	ssize_t size = read(fd, text, sizeof text - 1);

	text[size < 0 ? 0 : size] = '\0';
	snprintf(part, sizeof part, " %10d ", id);
	return close(fd) == 0 && strstr(text, part);
}

static void ask_opens(void)
{
	static const int flags[] = {
		O_WRONLY, O_RDWR, O_RDONLY | O_CREAT, O_CREAT | O_EXCL, O_RDONLY | O_TRUNC,
		O_RDONLY | O_DIRECTORY, O_RDONLY | O_NOFOLLOW, O_PATH,
	};
	int id = shmget(KEY, SIZE, IPC_CREAT | IPC_EXCL | 0600), fd, lowest;
	FILE *file;
	struct stat status;
	char head[8] = "";

	must(id >= 0);
	ask_whether("open", is_ours(open(FOLDER "shm", O_RDONLY), id));
	ask_whether("open64", is_ours(open64(FOLDER "shm", O_RDONLY), id));
	ask_whether("openat", is_ours(openat(77, FOLDER "shm", O_RDONLY), id));
	ask_whether("__open_2", is_ours(__open_2(FOLDER "shm", O_RDONLY), id));
	ask_whether("__openat_2", is_ours(__openat_2(AT_FDCWD, FOLDER "shm", O_RDONLY), id));
	must((file = fopen(FOLDER "sem", "r")) != NULL);
	must((file = freopen(FOLDER "shm", "r", file)) != NULL);
	ask_whether("freopen", is_ours(dup(fileno(file)), id));
	must(fclose(file) == 0);
	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		fd = open(FOLDER "shm", flags[i], 0600);
		say("{proc: open with %x} %s", (unsigned)flags[i], outcome(fd));
		if (fd >= 0)
			close(fd);
	}
	ask("open of another", open(FOLDER "shmx", O_RDONLY));
	ask("stat", stat(FOLDER "shm", &status));
	tell("its mode", "%o", status.st_mode);
	tell("access", "%s %s", outcome(access(FOLDER "msg", R_OK)),
	     outcome(access(FOLDER "msg", X_OK)));
	lowest = dup(0);
	close(lowest);
	fd = open(FOLDER "shm", O_RDONLY | O_CLOEXEC);
	ask_whether("the lowest number", fd == lowest);
	tell("close-on-exec", "%d", fcntl(fd, F_GETFD));
	tell("access mode", "%d", fcntl(fd, F_GETFL) & O_ACCMODE);
	must(fstat(fd, &status) == 0);
	tell("mode of what is open", "%o", status.st_mode);
	ask("written", write(fd, "x", 1));
	must(read(fd, head, 4) == 4 && lseek(fd, 7, SEEK_SET) == 7 && read(fd, head, 4) == 4);
	tell("read after a seek", "%s", head);
	close(fd);
	must(shmctl(id, IPC_RMID, NULL) == 0);
}

/* A user writes none of these. */
static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		say("{proc: write of %s} %s", path, outcome(fd));
	else
		say("{proc: write of %s} %s", path, outcome(write(fd, text, strlen(text))));
	close(fd);
}

static void ask_limits(void)
{
	static struct sembuf many[12];
	struct {
		long type;
		char text[9000];
	} message = {1, ""};
	struct shminfo shm;
	struct seminfo sem;
	struct msginfo msg;
	int shm_id, sem_id, msg_id;

	shm_id = shmget(KEY, 4096, IPC_CREAT | 0600);
	sem_id = semget(KEY, 3, IPC_CREAT | 0600);
	msg_id = msgget(KEY, IPC_CREAT | 0600);
	must(shm_id >= 0 && sem_id >= 0 && msg_id >= 0);
	put(KERNEL "shmmax", "8192");
	ask("shmmax: more", shmget(KEY + 3, 8193, IPC_CREAT | IPC_EXCL | 0600));
	put(KERNEL "shmmni", "1");
	ask("shmmni: one more", shmget(KEY + 1, 8192, IPC_CREAT | IPC_EXCL | 0600));
	put(KERNEL "shmall", "1");
	must(shmctl(0, IPC_INFO, (struct shmid_ds *)(void *)&shm) >= 0);
	tell("shm", "%lu %lu %lu", shm.shmmax, shm.shmmni, shm.shmall);
	put(KERNEL "shmmni", "4096");
	ask("shmall: more", shmget(KEY + 2, 4096, IPC_CREAT | IPC_EXCL | 0600));
	put(KERNEL "sem", "10 12 8 1");
	ask("semmsl: more", semget(KEY + 3, 11, IPC_CREAT | IPC_EXCL | 0600));
	ask("semmni: one more", semget(KEY + 1, 1, IPC_CREAT | IPC_EXCL | 0600));
	put(KERNEL "sem", "10 12 8 100");
	ask("semmns: more", semget(KEY + 2, 10, IPC_CREAT | IPC_EXCL | 0600));
	put(KERNEL "sem", "10 12 20 100");
	ask("semopm: less than the new one", semop(sem_id, many, 12));
	must(semctl(0, 0, IPC_INFO, (void *)&sem) >= 0);
	tell("sem", "%d %d %d %d", sem.semmsl, sem.semmns, sem.semopm, sem.semmni);
	put(KERNEL "msgmax", "9000");
	put(KERNEL "msgmni", "1");
	ask("msgmax: more than it was", msgsnd(msg_id, &message, 9000, IPC_NOWAIT));
	ask("msgmni: one more", msgget(KEY + 1, IPC_CREAT | IPC_EXCL | 0600));
	must(msgctl(0, IPC_INFO, (struct msqid_ds *)(void *)&msg) >= 0);
	tell("msg", "%d %d %d", msg.msgmax, msg.msgmnb, msg.msgmni);
	put(KERNEL "shmall", "1000000");
	for (int i = 0; i < 4; i++) {
		shmctl(shmget(KEY + i, 0, 0), IPC_RMID, NULL);
		semctl(semget(KEY + i, 0, 0), 0, IPC_RMID);
		msgctl(msgget(KEY + i, 0), IPC_RMID, NULL);
	}
}

/* Root's, and then there is one with the id that is asked for. */
static void ask_next_ids(void)
{
	int used = shmget(KEY, 1, IPC_CREAT | 0600), shm, sem, msg;
	char text[16];

	snprintf(text, sizeof text, "%d", used);
	put(KERNEL "shm_next_id", text);
	shm = shmget(KEY + 1, 1, IPC_CREAT | 0600);
	ask_whether("an id that is in use, another one", shm >= 0 && shm != used);
	must(shmctl(shm, IPC_RMID, NULL) == 0 && shmctl(used, IPC_RMID, NULL) == 0);
	if (geteuid() != 0)
		return;
	put(KERNEL "shm_next_id", "1234567");
	put(KERNEL "sem_next_id", "7654321");
	put(KERNEL "msg_next_id", "98321");
	put(KERNEL "msg_next_id", "-1");
	ask("none is made", shmget(IPC_PRIVATE, 0, 0600));
	shm = shmget(IPC_PRIVATE, 1, 0600);
	sem = semget(IPC_PRIVATE, 1, 0600);
	msg = msgget(KEY, IPC_CREAT | 0600);
	tell("next ids", "%d %d %d", shm, sem, msg);
	ask_whether("once", msgget(KEY, IPC_CREAT) == msg);
	must(shmctl(shm, IPC_RMID, NULL) == 0 && semctl(sem, 0, IPC_RMID) == 0);
	must(msgctl(msg, IPC_RMID, NULL) == 0);
	shm = shmget(IPC_PRIVATE, 1, 0600);
	ask_whether("no longer", shm >= 0 && shm != 1234567);
	must(shmctl(shm, IPC_RMID, NULL) == 0);
}

static const struct ipc_group groups[] = {
	{"shm", ask_shm},       {"sem", ask_sem},     {"msg", ask_msg},
	{"many", ask_many},     {"opens", ask_opens}, {"limits", ask_limits},
	{"next_ids", ask_next_ids}, {NULL, NULL},
};

static void body(void)
{
	ipc_run(groups);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
