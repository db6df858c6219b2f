/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether processes see in shared memory what they have told each other of: litmus CASE ROUNDS.
 * Each side maps the segment for itself. Prints how many times something was not as it must be,
 * and exits with 1 if it was. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIDES = 4, PAGE = 4096, WORDS = 64, STRIDE = 5 * 64 };

#define NAME "/litmus"
#define SEMAPHORES "/litmus-"

struct shared {
	sem_t sems[2];
	pthread_mutex_t mutex;
	long count;
	long turn;
	int data[WORDS * STRIDE]; /* a message is every STRIDE-th */
	unsigned char page[PAGE] __attribute__((aligned(PAGE)));
};

static long rounds;
static struct shared *shared; /* of this process */
static int file;              /* likewise */
static sem_t *named[2];

static void die(const char *what)
{
	perror(what);
	_exit(2);
}

static void map(void)
{
	file = shm_open(NAME, O_RDWR, 0);
	if (file < 0)
		die("shm_open");
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (shared == MAP_FAILED)
		die("mmap");
}

static void write_message(int value)
{
	for (int i = 0; i < WORDS; i++)
		shared->data[i * STRIDE] = value;
}

static long read_message(int value)
{
	for (int i = 0; i < WORDS; i++)
		if (shared->data[i * STRIDE] != value)
			return 1;
	return 0;
}

/* How a message is said to be there: to the other side, 0 or 1, which waits for it. */
struct channel {
	void (*tell)(int side);
	void (*hear)(int side);
};

static int pipes[2][2];

static void tell_by_pipe(int side)
{
	if (write(pipes[side][1], "x", 1) != 1)
		die("write");
}

static void hear_by_pipe(int side)
{
	char byte;

	if (read(pipes[side][0], &byte, 1) != 1)
		die("read");
}

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem) != 0)
		if (errno != EINTR)
			die("sem_wait");
}

static void post(sem_t *sem)
{
	if (sem_post(sem) != 0)
		die("sem_post");
}

static void tell_by_name(int side)
{
	post(named[side]);
}

static void hear_by_name(int side)
{
	wait_for(named[side]);
}

static void tell_by_sem(int side)
{
	post(&shared->sems[side]);
}

static void hear_by_sem(int side)
{
	wait_for(&shared->sems[side]);
}

/* The turn is in the memory itself, and looked at under the lock. */
static void lock_record(bool locks)
{
	struct flock lock = {.l_type = locks ? F_WRLCK : F_UNLCK, .l_whence = SEEK_SET};

	while (fcntl(file, F_SETLKW, &lock) != 0)
		if (errno != EINTR)
			die("fcntl");
}

static void lock_file(bool locks)
{
	if (flock(file, locks ? LOCK_EX : LOCK_UN) != 0)
		die("flock");
}

static void (*lock)(bool locks);

static void tell_by_turn(int side)
{
	shared->turn = side;
	lock(false);
}

static void hear_by_turn(int side)
{
	for (;;) {
		lock(true);
		if (shared->turn == side)
			return;
		lock(false);
		usleep(1);
	}
}

static const struct channel by_pipe = {tell_by_pipe, hear_by_pipe};
static const struct channel by_name = {tell_by_name, hear_by_name};
static const struct channel by_sem = {tell_by_sem, hear_by_sem};
static const struct channel by_turn = {tell_by_turn, hear_by_turn};

static int wait_children(void)
{
	int status, bad = 0;

	while (wait(&status) > 0)
		bad += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	return bad;
}

/* There and back. */
static long pass(const struct channel *channel)
{
	long wrong = 0;
	pid_t child = fork();

	if (child == 0) {
		map();
		for (int i = 0; i < rounds; i++) {
			channel->hear(1);
			wrong += read_message(2 * i + 1);
			write_message(2 * i + 2);
			channel->tell(0);
		}
		_exit(wrong != 0);
	}
	map();
	for (int i = 0; i < rounds; i++) {
		if (i || channel != &by_turn)
			write_message(2 * i + 1);
		if (i == 0 && channel == &by_turn) {
			lock(true);
			write_message(1);
		}
		channel->tell(1);
		channel->hear(0);
		wrong += read_message(2 * i + 2);
	}
	if (channel == &by_turn)
		lock(false);
	return wrong + wait_children();
}

static long pass_by_pipe(void)
{
	if (pipe(pipes[0]) != 0 || pipe(pipes[1]) != 0)
		die("pipe");
	return pass(&by_pipe);
}

static long pass_by_name(void)
{
	return pass(&by_name);
}

static long pass_by_sem(void)
{
	return pass(&by_sem);
}

static long pass_by_record(void)
{
	lock = lock_record;
	return pass(&by_turn);
}

static long pass_by_flock(void)
{
	lock = lock_file;
	return pass(&by_turn);
}

static long pass_by_exit(void)
{
	long wrong = 0;
	int status;

	map();
	for (int i = 1; i <= rounds; i++) {
		pid_t child = fork();

		if (child == 0) {
			/* It sees what was there before it. */
			wrong = read_message(i - 1);
			write_message(i);
			_exit((int)wrong);
		}
		if (waitpid(child, &status, 0) != child)
			die("waitpid");
		wrong += status != 0 || read_message(i) != 0;
	}
	return wrong;
}

/* Every SIDES-th byte is one side's; some write few of them: all ways to write them meet. */
static void write_bytes(int side, int value)
{
	int step = SIDES * ((value + side) % 3 ? 1 : 97);

	for (int i = side; i < PAGE; i += step)
		shared->page[i] = (unsigned char)value;
}

static long check_bytes(int value)
{
	for (int side = 0; side < SIDES; side++) {
		int step = SIDES * ((value + side) % 3 ? 1 : 97);

		for (int i = side; i < PAGE; i += step)
			if (shared->page[i] != (unsigned char)value)
				return 1;
	}
	return 0;
}

static long share_page(void)
{
	int answers[SIDES][2];
	long wrong = 0;
	char byte;

	if (pipe(pipes[0]) != 0)
		die("pipe");
	for (int side = 0; side < SIDES; side++)
		if (pipe(answers[side]) != 0)
			die("pipe");
	for (int side = 0; side < SIDES; side++)
		if (fork() == 0) {
			map();
			for (int i = 1; i <= rounds; i++) {
				write_bytes(side, i);
				tell_by_pipe(0);
				if (read(answers[side][0], &byte, 1) != 1)
					die("read");
			}
			_exit(0);
		}
	map();
	for (int i = 1; i <= rounds; i++) {
		for (int side = 0; side < SIDES; side++)
			if (read(pipes[0][0], &byte, 1) != 1)
				die("read");
		wrong += check_bytes(i);
		for (int side = 0; side < SIDES; side++)
			if (write(answers[side][1], "x", 1) != 1)
				die("write");
	}
	return wrong + wait_children();
}

static void by_mutex(bool locks)
{
	int error = locks ? pthread_mutex_lock(&shared->mutex) :
	                    pthread_mutex_unlock(&shared->mutex);

	errno = error;
	if (error)
		die("mutex");
}

static void by_unnamed(bool locks)
{
	if (locks)
		wait_for(&shared->sems[0]);
	else
		post(&shared->sems[0]);
}

static void by_named(bool locks)
{
	if (locks)
		wait_for(named[0]);
	else
		post(named[0]);
}

/* Each of SIDES counts up to as many as there are rounds. */
static long count_with(void (*exclude)(bool locks))
{
	long wrong;

	map();
	post(&shared->sems[0]);
	post(named[0]);
	for (int side = 0; side < SIDES; side++)
		if (fork() == 0) {
			map();
			for (long i = 0; i < rounds; i++) {
				exclude(true);
				shared->count++;
				exclude(false);
			}
			_exit(0);
		}
	wrong = wait_children();
	exclude(true);
	if (shared->count != SIDES * rounds)
		wrong += SIDES * rounds - shared->count;
	exclude(false);
	return wrong;
}

static long count_with_mutex(void)
{
	return count_with(by_mutex);
}

static long count_with_sem(void)
{
	return count_with(by_unnamed);
}

static long count_with_name(void)
{
	return count_with(by_named);
}

static long count_with_record(void)
{
	return count_with(lock_record);
}

static long count_with_flock(void)
{
	return count_with(lock_file);
}

static const struct {
	const char *name;
	long (*run)(void);
} cases[] = {
	{"pass-pipe", pass_by_pipe},     {"pass-named", pass_by_name},
	{"pass-sem", pass_by_sem},       {"pass-fcntl", pass_by_record},
	{"pass-flock", pass_by_flock},   {"pass-exit", pass_by_exit},
	{"page", share_page},            {"count-mutex", count_with_mutex},
	{"count-sem", count_with_sem},   {"count-named", count_with_name},
	{"count-fcntl", count_with_record}, {"count-flock", count_with_flock},
};

static void prepare(void)
{
	pthread_mutexattr_t attributes;
	int made;

	shm_unlink(NAME);
	made = shm_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (made < 0 || ftruncate(made, sizeof *shared) != 0)
		die("shm_open");
	map();
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	errno = pthread_mutex_init(&shared->mutex, &attributes);
	if (errno)
		die("pthread_mutex_init");
	for (int i = 0; i < 2; i++) {
		char name[32];

		snprintf(name, sizeof name, SEMAPHORES "%d", i);
		sem_unlink(name);
		named[i] = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
		if (named[i] == SEM_FAILED || sem_init(&shared->sems[i], 1, 0) != 0)
			die("semaphore");
		sem_unlink(name);
	}
	munmap(shared, sizeof *shared);
	close(made);
}

int main(int argc, char **argv)
{
	long wrong = -1;

	rounds = argc == 3 ? atol(argv[2]) : 0;
	for (size_t i = 0; rounds > 0 && i < sizeof cases / sizeof cases[0]; i++)
		if (strcmp(cases[i].name, argv[1]) == 0) {
			prepare();
			wrong = cases[i].run();
			shm_unlink(NAME);
		}
	printf("%ld rounds, %ld wrong\n", rounds, wrong);
	return wrong != 0;
}
