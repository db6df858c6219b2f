/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first call of a program may have to start the daemon: in whatever state the program is, it
 * must notice nothing. The argument says in which: one a run, as there is one first call. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/probes/helper.h"
#include "tests/probes/probe.h"

#define NAME "/first"

enum { CALLERS = 8 };

static volatile sig_atomic_t children_ended;

static void note_child(int number)
{
	(void)number;
	children_ended = children_ended + 1;
}

static int create(void)
{
	return shm_open(NAME, O_RDWR | O_CREAT, 0600);
}

/* The three standard numbers are free, and must become nobody else's meanwhile. */
static void without_stdio(void)
{
	struct stat status = {.st_size = -1};
	int fd;

	closefrom(0);
	fd = create();
	say("first: %d, second: %d", fd, shm_open(NAME, O_RDWR, 0));
	say("semaphore: %s", helper_semaphore(NAME) ? "ok" : outcome(-1));
	say("third: %d", open("/dev/null", O_RDWR));
	must(fstat(fd, &status) == 0);
	say("written into it: %ld", (long)status.st_size);
}

/* waitpid and SIGCHLD are for the program's own children. */
static void with_children(void)
{
	struct sigaction action = {.sa_handler = note_child};
	int pipe_ends[2];
	char byte;
	pid_t child;

	sigaction(SIGCHLD, &action, NULL);
	say("first: %s", outcome(create()));
	say("a child that it never had: %s", outcome(waitpid(-1, NULL, WNOHANG)));
	say("of any kind: %s", outcome(waitpid(-1, NULL, WNOHANG | __WALL)));
	say("SIGCHLD: %d", children_ended);
	must(pipe(pipe_ends) == 0);
	child = fork();
	if (child == 0) {
		close(pipe_ends[1]);
		_exit((int)read(pipe_ends[0], &byte, 1));
	}
	helper_semaphore(NAME);
	close(pipe_ends[1]);
	say("its own child: %d", waitpid(-1, NULL, 0) == child);
	say("and no other: %s", outcome(waitpid(-1, NULL, WNOHANG)));
}

static void with_children_ignored(void)
{
	signal(SIGCHLD, SIG_IGN);
	say("first: %s", outcome(create()));
	say("semaphore: %s", helper_semaphore(NAME) ? "ok" : outcome(-1));
	say("wait: %s", outcome(wait(NULL)));
}

static void without_environment(void)
{
	must(chdir("/") == 0 && clearenv() == 0);
	say("first: %s", outcome(create()));
	say("written: %s", outcome(ftruncate(shm_open(NAME, O_RDWR, 0), 10)));
	must(unsetenv("PATH") == 0 && chdir("/proc/self") == 0);
	say("again: %s", try_open(NAME, O_RDONLY, 0));
}

struct caller {
	pthread_barrier_t *barrier;
	int fd;
};

static void *call(void *argument)
{
	struct caller *caller = argument;

	pthread_barrier_wait(caller->barrier);
	caller->fd = create();
	return NULL;
}

static void by_threads(void)
{
	pthread_barrier_t barrier;
	pthread_t threads[CALLERS];
	struct caller callers[CALLERS];
	struct stat one, other;
	int wrong = 0;

	must(pthread_barrier_init(&barrier, NULL, CALLERS) == 0);
	for (int i = 0; i < CALLERS; i++) {
		callers[i] = (struct caller){&barrier, -1};
		must(pthread_create(&threads[i], NULL, call, &callers[i]) == 0);
	}
	for (int i = 0; i < CALLERS; i++)
		must(pthread_join(threads[i], NULL) == 0);
	must(fstat(callers[0].fd, &one) == 0);
	for (int i = 1; i < CALLERS; i++)
		wrong += fstat(callers[i].fd, &other) != 0 || one.st_ino != other.st_ino;
	say("%d threads, one file: %d wrong", CALLERS, wrong);
}

/* All see the same names: of the exclusive creations one succeeds. */
static void by_processes(void)
{
	pthread_barrier_t *barrier = shared_memory(sizeof *barrier);
	atomic_int *winners = shared_memory(sizeof *winners);
	pthread_barrierattr_t shared;
	pid_t children[CALLERS];
	int wrong = 0;

	pthread_barrierattr_init(&shared);
	pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
	must(pthread_barrier_init(barrier, &shared, CALLERS) == 0);
	for (int i = 0; i < CALLERS; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			pthread_barrier_wait(barrier);
			if (shm_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600) >= 0)
				atomic_fetch_add(winners, 1);
			_exit(shm_open(NAME, O_RDWR, 0) < 0);
		}
	}
	for (int i = 0; i < CALLERS; i++)
		wrong += await_child(children[i]) != 0;
	say("%d processes: %d wrong, %d winners", CALLERS, wrong, *winners);
	say("parent: %s", try_open(NAME, O_RDWR, 0));
}

static void do_nothing(int number)
{
	(void)number;
}

static void in_a_storm(void)
{
	struct sigaction action = {.sa_handler = do_nothing};
	struct itimerval storm = {{0, 500}, {0, 500}};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &storm, NULL);
	say("first: %s", outcome(create()));
	say("semaphore: %s", helper_semaphore(NAME) ? "ok" : outcome(-1));
}

/* What is blocked here is not to be blocked there, nor ignored. */
static void with_signals_blocked(void)
{
	sigset_t all, after;
	int same = 1;

	sigfillset(&all);
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_IGN);
	must(sigprocmask(SIG_SETMASK, &all, NULL) == 0);
	say("first: %s", outcome(create()));
	must(sigprocmask(SIG_SETMASK, NULL, &after) == 0);
	for (int number = 1; number < NSIG; number++)
		if (number != SIGKILL && number != SIGSTOP && (number < 32 || number >= SIGRTMIN))
			same = same && sigismember(&after, number) == 1;
	say("still blocked: %d", same);
}

static void with_umask(void)
{
	struct stat status = {0};
	int fd;

	umask(0777);
	fd = create();
	say("first: %s", outcome(fd));
	must(fstat(fd, &status) == 0);
	say("mode %o, again %s", status.st_mode, try_open(NAME, O_RDWR, 0));
	say("umask %o", umask(0));
}

static void *cancelled(void *ignored)
{
	(void)ignored;
	pthread_cancel(pthread_self());
	say("first: %s", outcome(create()));
	return NULL;
}

static void when_cancelled(void)
{
	pthread_t thread;
	void *result = NULL;

	must(pthread_create(&thread, NULL, cancelled, NULL) == 0);
	must(pthread_join(thread, &result) == 0);
	say("ended: %d, then %s", result == PTHREAD_CANCELED, try_open(NAME, O_RDWR, 0));
}

static void write_text(void)
{
	int fd = create();

	must(write(fd, HELPER_TEXT, sizeof HELPER_TEXT) == sizeof HELPER_TEXT);
}

static void exec_at_once(void *ignored)
{
	(void)ignored;
	write_text();
	helper_become(HELPER_OPEN, 0, NAME);
}

static void before_exec(void)
{
	say("found after exec: %d", in_child(exec_at_once, NULL));
	say("and by the parent: %d", helper_exec(HELPER_OPEN, 0, NAME));
}

static void die_with_group(void *ignored)
{
	(void)ignored;
	must(setpgid(0, 0) == 0);
	write_text();
	kill(0, SIGKILL);
}

/* What began with one process does not end with its group. */
static void in_a_killed_group(void)
{
	say("killed: %d", in_child(die_with_group, NULL) - PROBE_SIGNAL);
	say("found after: %d", helper_exec(HELPER_OPEN, 0, NAME));
}

static void exhaust(void *ignored)
{
	(void)ignored;
	while (open("/dev/null", O_RDONLY) >= 0)
		continue;
	say("first: %s", try_open(NAME, O_RDWR | O_CREAT, 0600));
	closefrom(3);
	say("was created: %s", try_open(NAME, O_RDWR, 0));
}

static void without_descriptors(void)
{
	must(in_child(exhaust, NULL) == 0);
	say("parent: %s", try_open(NAME, O_RDWR | O_CREAT, 0600));
}

static void create_in_child(void *ignored)
{
	(void)ignored;
	say("first: %s", outcome(create()));
}

static void in_a_child(void)
{
	say("child: %d", in_child(create_in_child, NULL));
	say("parent: %s", try_open(NAME, O_RDWR, 0));
}

static void body(void)
{
	static const struct {
		const char *name;
		void (*ask)(void);
	} states[] = {
		{"stdio", without_stdio},
		{"children", with_children},
		{"ignored", with_children_ignored},
		{"environment", without_environment},
		{"threads", by_threads},
		{"processes", by_processes},
		{"storm", in_a_storm},
		{"blocked", with_signals_blocked},
		{"umask", with_umask},
		{"cancelled", when_cancelled},
		{"exec", before_exec},
		{"group", in_a_killed_group},
		{"full", without_descriptors},
		{"child", in_a_child},
	};

	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
		if (strcmp(probe_argument(1), states[i].name) != 0)
			continue;
		states[i].ask();
		must(shm_unlink(NAME) == 0);
		sem_unlink(NAME);
		return;
	}
	say("usage: first STATE");
	must(!"a state that is known");
}

int main(int argc, char **argv)
{
	if (helper_is_meant(argc, argv))
		return helper_main(argc, argv);
	return probe_run(argc, argv, body);
}
