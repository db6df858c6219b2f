/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program's life: fork, exec, spawn, threads, signals, passing descriptors on. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/probes/helper.h"
#include "tests/probes/probe.h"

#define NAME "/life"

enum { THREADS = 8, ROUNDS = 100, FORKS = 50, OPENS = 2000, JUMPS = 200, UNTOUCHED = 4242 };

static void open_by_name(void *text)
{
	int fd = shm_open(NAME, O_RDWR, 0);
	char found[16] = "";

	must(fd >= 0 && read(fd, found, sizeof found - 1) >= 0);
	must(strcmp(found, text) == 0);
	must(pwrite(fd, "child", 6, 0) == 6);
}

static void fork_on(void *text)
{
	must(in_child(open_by_name, text) == 0);
}

static void ask_fork(void)
{
	int fd = make_segment(NAME, 0600, 0);
	char text[] = "parent";
	char found[16] = "";

	must(write(fd, "parent", 6) == 6);
	say("child: %d", in_child(open_by_name, text));
	must(pread(fd, found, sizeof found, 0) == 6);
	say("the child wrote: %s", found);
	must(pwrite(fd, "parent", 6, 0) == 6);
	say("grandchild: %d", in_child(fork_on, text));
	close(fd);
	shm_unlink(NAME);
}

static void ask_exec(void)
{
	int fd = make_segment(NAME, 0600, 0);

	must(pwrite(fd, HELPER_TEXT, sizeof HELPER_TEXT, 0) == sizeof HELPER_TEXT);
	say("close-on-exec: %d", helper_exec(HELPER_READ, fd, NULL));
	must(fcntl(fd, F_SETFD, 0) == 0);
	say("inherited: %d", helper_exec(HELPER_READ, fd, NULL));
	say("by name, after exec: %d", helper_exec(HELPER_OPEN, fd, NAME));
	say("posix_spawn: %d", helper_spawn(HELPER_OPEN, fd, NAME));
	say("system: %d", helper_system(HELPER_OPEN, fd, NAME));
	close(fd);
	shm_unlink(NAME);
	say("gone, after exec: %d", helper_exec(HELPER_OPEN, 0, NAME));
}

/* One thread's cycles on a name of its own, and on one of all. */
static void *hammer(void *argument)
{
	char name[32];
	long wrong = 0;

	snprintf(name, sizeof name, "/life-%ld", (long)argument);
	for (int i = 0; i < ROUNDS; i++) {
		int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
		int shared = shm_open(NAME, O_RDWR, 0);
		char *mapped;

		wrong += fd < 0 || shared < 0 || ftruncate(fd, 4096) != 0;
		mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (mapped != MAP_FAILED) {
			wrong += mapped[0] != 0;
			strcpy(mapped, name);
			munmap(mapped, 4096);
		}
		wrong += shm_unlink(name) != 0 || close(fd) != 0 || close(shared) != 0;
	}
	return (void *)wrong;
}

static long join_all(const pthread_t *threads, int count)
{
	long wrong = 0;

	for (int i = 0; i < count; i++) {
		void *result;

		must(pthread_join(threads[i], &result) == 0);
		wrong += (long)result;
	}
	return wrong;
}

static void ask_threads(void)
{
	pthread_t threads[THREADS];
	int fd = make_segment(NAME, 0600, 0);

	for (long i = 0; i < THREADS; i++)
		must(pthread_create(&threads[i], NULL, hammer, (void *)i) == 0);
	say("%d threads: %ld wrong", THREADS, join_all(threads, THREADS));
	close(fd);
	shm_unlink(NAME);
}

static atomic_bool enough;

static void *open_until_enough(void *ignored)
{
	long wrong = 0;

	(void)ignored;
	while (!enough) {
		int fd = shm_open(NAME, O_RDWR, 0);
		sem_t *sem = helper_semaphore(NAME);

		wrong += fd < 0 || close(fd) != 0 || !sem || sem_close(sem) != 0;
	}
	return (void *)wrong;
}

static void open_semaphore(void *ignored)
{
	(void)ignored;
	must(helper_semaphore(NAME) != NULL);
}

/* What the children open is a question of its own when it is a semaphore: natively they hang at
 * times, as glibc's sem_open has a lock that fork does not mind (2.36). */
static void ask_fork_among_threads(void (*open_it)(void *))
{
	pthread_t threads[THREADS / 2];
	int wrong = 0;

	close(make_segment(NAME, 0600, 0));
	must(helper_semaphore(NAME) != NULL);
	enough = false;
	for (int i = 0; i < THREADS / 2; i++)
		must(pthread_create(&threads[i], NULL, open_until_enough, NULL) == 0);
	for (int i = 0; i < FORKS; i++) {
		int fd = shm_open(NAME, O_RDWR | O_TRUNC, 0);

		close(fd);
		wrong += in_child(open_it, (char[]){""}) != 0;
	}
	enough = true;
	say("forks among threads: %d wrong; threads: %ld wrong", wrong,
	    join_all(threads, THREADS / 2));
	must(shm_unlink(NAME) == 0 && sem_unlink(NAME) == 0);
}

static void ask_copies(void)
{
	int fd = make_segment(NAME, 0600, 100);
	int copy = dup(fd);
	int high = fcntl(fd, F_DUPFD, 40);

	must(lseek(fd, 30, SEEK_SET) == 30);
	say("one offset: %ld %ld", (long)lseek(copy, 0, SEEK_CUR), (long)lseek(high, 0, SEEK_CUR));
	say("copy on exec: %d", fcntl(copy, F_GETFD));
	close(fd);
	say("the copy lives: %s", outcome(ftruncate(copy, 10)));
	close(copy);
	close(high);
	shm_unlink(NAME);
}

static void receive(void *argument)
{
	int fd = helper_receive_fd(*(int *)argument);
	char *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	must(fd >= 0 && mapped != MAP_FAILED);
	strcpy(mapped, "received");
}

static void ask_passing(void)
{
	int fd = make_segment(NAME, 0600, 4096);
	char text[16] = "";
	int pair[2];

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	must(shm_unlink(NAME) == 0);
	must(helper_send_fd(pair[0], fd) == 0);
	say("passed on: %d", in_child(receive, &pair[1]));
	must(pread(fd, text, sizeof text, 0) == sizeof text);
	say("the receiver wrote: %s", text);
	close(pair[0]);
	close(pair[1]);
	close(fd);
}

static void do_nothing(int number)
{
	(void)number;
}

static void open_and_close(int number)
{
	int error = errno;
	int fd = shm_open(NAME, O_RDWR, 0);

	(void)number;
	must(fd >= 0 && close(fd) == 0);
	errno = error;
}

static void set_storm(void (*handler)(int), int microseconds)
{
	struct sigaction action = {.sa_handler = handler};
	struct itimerval storm = {{0, microseconds}, {0, microseconds}};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &storm, NULL);
}

/* Without SA_RESTART. */
static void ask_storm(const char *label, void (*handler)(int), int opens)
{
	int wrong = 0;

	close(make_segment(NAME, 0600, 7));
	set_storm(handler, 1000);
	for (int i = 0; i < opens; i++) {
		struct stat status = {.st_size = -1};
		int fd = shm_open(NAME, O_RDWR, 0);

		wrong += fd < 0 || fstat(fd, &status) != 0 || status.st_size != 7 || close(fd) != 0;
	}
	set_storm(SIG_IGN, 0);
	say("%s: %d wrong", label, wrong);
	shm_unlink(NAME);
}

static sigjmp_buf start_again;

static void jump_out(int number)
{
	(void)number;
	siglongjmp(start_again, 1);
}

/* Left by longjmp in the midst of a call, which may lose a descriptor but nothing else. */
static void ask_jumps(void)
{
	volatile int jumps = 0;

	close(make_segment(NAME, 0600, 0));
	if (sigsetjmp(start_again, 1))
		jumps++;
	set_storm(jump_out, 700);
	while (jumps < JUMPS)
		close(shm_open(NAME, O_RDWR, 0));
	set_storm(SIG_IGN, 0);
	closefrom(3);
	say("after jumps: %s", try_open(NAME, O_RDWR, 0));
	shm_unlink(NAME);
}

static void *open_cancelled(void *ignored)
{
	int fd;
	sem_t *sem;

	(void)ignored;
	pthread_cancel(pthread_self());
	fd = shm_open(NAME, O_RDWR, 0);
	say("cancelled already: %s", outcome(fd));
	sem = helper_semaphore(NAME);
	say("semaphore: %s", sem ? "ok" : outcome(-1));
	must(close(fd) == 0);
	return NULL;
}

static void ask_cancel(void)
{
	pthread_t thread;
	void *result = NULL;

	close(make_segment(NAME, 0600, 0));
	must(pthread_create(&thread, NULL, open_cancelled, NULL) == 0);
	must(pthread_join(thread, &result) == 0);
	say("then it ended: %d", result == PTHREAD_CANCELED);
	must(shm_unlink(NAME) == 0 && sem_unlink(NAME) == 0);
}

static void ask_errno(void)
{
	int fd;

	errno = UNTOUCHED;
	fd = shm_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600);
	say("creating leaves errno: %d", errno == UNTOUCHED);
	close(fd);
	fd = shm_open(NAME, O_RDWR | O_CREAT, 0600);
	say("opening leaves errno: %d", errno == UNTOUCHED);
	close(fd);
	must(shm_unlink(NAME) == 0);
	say("unlinking leaves errno: %d", errno == UNTOUCHED);
	must(helper_semaphore(NAME) != NULL);
	errno = UNTOUCHED;
	must(sem_close(helper_semaphore(NAME)) == 0);
	say("a semaphore that is there leaves errno: %d", errno == UNTOUCHED);
	must(sem_unlink(NAME) == 0);
	say("its unlinking leaves errno: %d", errno == UNTOUCHED);
}

static void storm_in_child(void *ignored)
{
	(void)ignored;
	ask_storm("signal storm", do_nothing, OPENS);
	ask_storm("storm that opens", open_and_close, OPENS / 4);
}

static void jumps_in_child(void *ignored)
{
	(void)ignored;
	ask_jumps();
}

static void body(void)
{
	if (strcmp(probe_argument(1), "semaphores") == 0) {
		ask_fork_among_threads(open_semaphore);
		return;
	}
	ask_fork();
	ask_exec();
	ask_threads();
	ask_fork_among_threads(open_by_name);
	ask_copies();
	ask_passing();
	must(in_child(storm_in_child, NULL) == 0);
	must(in_child(jumps_in_child, NULL) == 0);
	ask_cancel();
	ask_errno();
}

int main(int argc, char **argv)
{
	if (helper_is_meant(argc, argv))
		return helper_main(argc, argv);
	return probe_run(argc, argv, body);
}
