/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What processes that share memory learn of each other by other things than messages: that one has
 * ended, has executed a program, has closed a file, has sent a signal, has let go of a lock. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/probes/probe.h"

#define NAME "/talks-ends"
#define MARK "--mapped"

enum { SIZE = 3 * 4096 + 100, ROUNDS = 20, LOCKERS = 4, LOCKS = 25, WORD = 200 };

extern char **environ;

static int segment;
static volatile long *words;

static volatile long *map_segment(int fd)
{
	void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	must(memory != MAP_FAILED);
	return memory;
}

static void put(long value)
{
	words[3 * 512] = value;
	words[WORD] = value;
	words[0] = value;
}

static bool is_there(long value)
{
	return words[0] == value && words[WORD] == value && words[3 * 512] == value;
}

static void put_at_end(void)
{
	put(words[0] + 1000);
}

/* Ways to end. */
enum ending { BY__EXIT, BY__EXIT_C, BY_EXIT, BY_QUICK_EXIT, AT_EXIT, AT_QUICK_EXIT, ENDINGS };

static const char *const ending_names[ENDINGS] = {
	"_exit", "_Exit", "exit", "quick_exit", "atexit", "at_quick_exit",
};

static void end(enum ending ending, long value)
{
	put(value);
	switch (ending) {
	case BY__EXIT: _exit(7);
	case BY__EXIT_C: _Exit(7);
	case BY_EXIT: exit(7);
	case BY_QUICK_EXIT: quick_exit(7);
	case AT_EXIT: atexit(put_at_end); exit(7);
	case AT_QUICK_EXIT: at_quick_exit(put_at_end); quick_exit(7);
	case ENDINGS: break;
	}
}

/* Ways to await it. */
static bool await(pid_t child, int round)
{
	siginfo_t info = {0};
	struct rusage usage;
	int status = -1;

	switch (round % 5) {
	case 0: return waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7;
	case 1: return wait(&status) == child && WEXITSTATUS(status) == 7;
	case 2: return waitid(P_PID, (id_t)child, &info, WEXITED) == 0 && info.si_status == 7;
	case 3: return wait3(&status, 0, &usage) == child && WEXITSTATUS(status) == 7;
	default: return wait4(child, &status, 0, &usage) == child && WEXITSTATUS(status) == 7;
	}
}

static void ask_ends(void)
{
	for (enum ending ending = BY__EXIT; ending < ENDINGS; ending++) {
		int wrong = 0;

		for (int i = 1; i <= ROUNDS; i++) {
			long value = ending >= AT_EXIT ? i + 1000 : i;
			pid_t child = fork();

			if (child == 0)
				end(ending, i);
			wrong += !await(child, i) || !is_there(value);
		}
		say("%s: %d wrong", ending_names[ending], wrong);
	}
}

/* The program that is executed: finds the memory by name. */
static int mapped_main(char **argv)
{
	long value = atol(argv[2]);
	int fd = shm_open(NAME, O_RDWR, 0);
	bool was_there;

	if (fd < 0)
		return 20;
	words = map_segment(fd);
	close(fd);
	was_there = is_there(value);
	put(value + 1);
	if (strcmp(argv[3], "print") == 0)
		printf("%ld\n", value + 1);
	return was_there ? 7 : 21;
}

enum execution { FORK_EXECV, FORK_EXECLP, VFORK_EXECVE, SPAWN, SPAWNP, SYSTEM, POPEN, EXECUTIONS };

static const char *const execution_names[EXECUTIONS] = {
	"fork, execv", "write, execlp", "vfork, execve", "posix_spawn", "posix_spawnp", "system",
	"popen",
};

static char program[PATH_MAX];

static bool run_line(enum execution execution, long value)
{
	char line[PATH_MAX + 64], text[32] = "";
	FILE *stream;
	bool is_told;

	snprintf(line, sizeof line, "'%s' " MARK " %ld %s", program, value,
	         execution == POPEN ? "print" : "-");
	if (execution == SYSTEM)
		return WEXITSTATUS(system(line)) == 7;
	stream = popen(line, "r");
	must(stream != NULL);
	is_told = fgets(text, sizeof text, stream) && atol(text) == value + 1;
	return is_told && WEXITSTATUS(pclose(stream)) == 7;
}

static void execute_forked(enum execution execution, char **argv, long value)
{
	if (execution == FORK_EXECV)
		execv(program, argv);
	put(value);
	execlp(program, "talks", MARK, argv[2], "-", NULL);
	_exit(22);
}

static bool run(enum execution execution, long value)
{
	char text[32];
	char *argv[] = {program, (char[]){MARK}, text, (char[]){"-"}, NULL};
	pid_t child = -1;

	snprintf(text, sizeof text, "%ld", value);
	if (execution != FORK_EXECLP)
		put(value);
	switch (execution) {
	case FORK_EXECV: case FORK_EXECLP:
		child = fork();
		if (child == 0)
			execute_forked(execution, argv, value);
		break;
	case VFORK_EXECVE:
		child = vfork();
		if (child == 0) {
			execve(program, argv, environ);
			_exit(22);
		}
		break;
	case SPAWN:
		must(posix_spawn(&child, program, NULL, NULL, argv, environ) == 0);
		break;
	case SPAWNP:
		must(posix_spawnp(&child, program, NULL, NULL, argv, environ) == 0);
		break;
	default:
		return run_line(execution, value);
	}
	return await(child, 0);
}

static void ask_executions(void)
{
	ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);

	must(length > 0);
	for (enum execution execution = FORK_EXECV; execution < EXECUTIONS; execution++) {
		int wrong = 0;

		for (int i = 0; i < ROUNDS / 4; i++) {
			long value = 100 * (execution + 1) + 2 * i;

			wrong += !run(execution, value) || !is_there(value + 1);
		}
		say("%s: %d wrong", execution_names[execution], wrong);
	}
}

/* Has its end closed by what does that, and then waits for the other's. */
static void close_by(const char *call, int fd)
{
	int null = open("/dev/null", O_RDONLY);

	if (strcmp(call, "close") == 0)
		must(close(fd) == 0);
	else if (strcmp(call, "dup2") == 0)
		must(dup2(null, fd) == fd);
	else if (strcmp(call, "close_range") == 0)
		must(close_range((unsigned)fd, (unsigned)fd, 0) == 0);
	else if (strcmp(call, "shutdown") == 0)
		must(shutdown(fd, SHUT_RDWR) == 0);
	else
		must(fclose(fdopen(fd, "w")) == 0);
	close(null);
}

static void ask_closing(const char *call)
{
	int wrong = 0;

	for (int i = 1; i <= ROUNDS; i++) {
		int there[2], back[2];
		char byte;
		pid_t child;

		must(socketpair(AF_UNIX, SOCK_STREAM, 0, there) == 0 && pipe(back) == 0);
		child = fork();
		if (child == 0) {
			close(there[0]);
			close(back[1]);
			put(i);
			close_by(call, there[1]);
			_exit(read(back[0], &byte, 1) == 0 && is_there(-i) ? 7 : 1);
		}
		close(there[1]);
		close(back[0]);
		wrong += read(there[0], &byte, 1) != 0 || !is_there(i);
		put(-i);
		close(back[1]);
		wrong += !await(child, 0);
		close(there[0]);
	}
	say("end of file by %s: %d wrong", call, wrong);
}

static void do_nothing(int number)
{
	(void)number;
}

enum { SIGWAIT, SIGWAITINFO, SIGTIMEDWAIT, SIGSUSPEND, SIGNALS };

static const char *const signal_names[SIGNALS] = {
	"sigwait", "sigwaitinfo", "sigtimedwait", "sigsuspend",
};

static bool await_signal(int call, const sigset_t *set, const sigset_t *others)
{
	struct timespec patience = {30, 0};
	int number;

	switch (call) {
	case SIGWAIT: return sigwait(set, &number) == 0 && number == SIGUSR1;
	case SIGWAITINFO: return sigwaitinfo(set, NULL) == SIGUSR1;
	case SIGTIMEDWAIT: return sigtimedwait(set, NULL, &patience) == SIGUSR1;
	default: return sigsuspend(others) == -1 && errno == EINTR;
	}
}

static void send_signal(pid_t other, int round)
{
	union sigval value = {.sival_int = round};

	if (round % 2)
		must(kill(other, SIGUSR1) == 0);
	else
		must(sigqueue(other, SIGUSR1, value) == 0);
}

static void ask_signals(void)
{
	struct sigaction action = {.sa_handler = do_nothing};
	sigset_t set, before, others;
	pid_t us = getpid();

	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &before);
	others = before;
	sigdelset(&others, SIGUSR1);
	for (int call = 0; call < SIGNALS; call++) {
		int wrong = 0, theirs = 0;
		pid_t child = fork();

		if (child == 0) {
			for (int i = 1; i <= ROUNDS; i++) {
				theirs += !await_signal(call, &set, &others) || !is_there(i);
				put(-i);
				send_signal(us, i);
			}
			_exit(theirs);
		}
		for (int i = 1; i <= ROUNDS; i++) {
			put(i);
			send_signal(child, i);
			wrong += !await_signal(call, &set, &others) || !is_there(-i);
		}
		say("%s: %d wrong; the other's: %d", signal_names[call], wrong,
		    await_child(child));
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
}

enum { FCNTL, OFD, LOCKF, FLOCK, LOCK_KINDS };

static const char *const lock_names[LOCK_KINDS] = {"fcntl", "fcntl, OFD", "lockf", "flock"};

/* All of the file, wherever it ends. */
static void lock(int kind, int fd, bool is_locking)
{
	struct flock whole = {.l_type = is_locking ? F_WRLCK : F_UNLCK, .l_whence = SEEK_SET};
	int result = -1;

	switch (kind) {
	case FCNTL: result = fcntl(fd, F_SETLKW, &whole); break;
	case OFD: result = fcntl(fd, F_OFD_SETLKW, &whole); break;
	case LOCKF: result = lockf(fd, is_locking ? F_LOCK : F_ULOCK, 0); break;
	case FLOCK: result = flock(fd, is_locking ? LOCK_EX : LOCK_UN); break;
	}
	must(result == 0);
}

static void count(int kind)
{
	int fd = shm_open(NAME, O_RDWR, 0);

	must(fd >= 0);
	for (int i = 0; i < LOCKS; i++) {
		lock(kind, fd, true);
		put(words[0] + 1);
		lock(kind, fd, false);
	}
	_exit(7);
}

static void ask_locks(void)
{
	for (int kind = 0; kind < LOCK_KINDS; kind++) {
		int wrong = 0;
		pid_t children[LOCKERS];

		put(0);
		for (int i = 0; i < LOCKERS; i++) {
			children[i] = fork();
			if (children[i] == 0)
				count(kind);
		}
		for (int i = 0; i < LOCKERS; i++)
			wrong += !await(children[i], 0);
		say("%s: %d wrong, %ld counted", lock_names[kind], wrong,
		    is_there(words[0]) ? words[0] : -1);
	}
}

static void show_lock(const char *what, int command, const struct flock *asked, pid_t child)
{
	struct flock lock = *asked;
	const char *result = outcome(fcntl(segment, command, &lock));

	say("%s: %s, type %d, from %d: %ld, %ld bytes, %s", what, result, lock.l_type,
	    lock.l_whence, (long)lock.l_start, (long)lock.l_len,
	    lock.l_pid == child ? "the child's" : lock.l_pid == 0 ? "nobody's" :
	    lock.l_pid == -1 ? "an open file's" : "another's");
}

static void hold(const struct flock *lock, int out, int in)
{
	int fd = shm_open(NAME, O_RDWR, 0);
	struct flock own = *lock;
	char byte = 'x';

	must(lseek(fd, 1000, SEEK_SET) == 1000);
	must(fcntl(fd, F_SETLK, &own) == 0);
	must(write(out, &byte, 1) == 1);
	_exit(read(in, &byte, 1) == 0 ? 7 : 1);
}

/* What one sees of another's lock. */
static void ask_reach(const char *what, const struct flock *lock)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct flock free = {.l_type = F_RDLCK, .l_whence = SEEK_CUR, .l_start = 3, .l_len = 4};
	struct flock far = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1L << 40};
	int there[2], back[2];
	char byte;
	pid_t child;

	must(pipe(there) == 0 && pipe(back) == 0);
	child = fork();
	if (child == 0) {
		close(back[1]);
		hold(lock, there[1], back[0]);
	}
	must(read(there[0], &byte, 1) == 1);
	show_lock(what, F_GETLK, &whole, child);
	show_lock("a part", F_GETLK, &free, child);
	show_lock("far off", F_GETLK, &far, child);
	show_lock("open file's", F_OFD_GETLK, &whole, child);
	say("set: %s", outcome(fcntl(segment, F_SETLK, &whole)));
	say("lockf: %s", outcome(lockf(segment, F_TEST, 0)));
	close(back[1]);
	must(await(child, 0));
	close(back[0]);
	close(there[0]);
	close(there[1]);
}

static void ask_reaches(void)
{
	ask_reach("all", &(struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET});
	ask_reach("from 100 on", &(struct flock){
		.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 100,
	});
	ask_reach("10 from where it is", &(struct flock){
		.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = -10, .l_len = 10,
	});
	ask_reach("on from where it is", &(struct flock){.l_type = F_WRLCK, .l_whence = SEEK_CUR});
	ask_reach("from the end on", &(struct flock){.l_type = F_WRLCK, .l_whence = SEEK_END});
	ask_reach("before", &(struct flock){
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = -50,
	});
	say("no lock: %s", outcome(fcntl(segment, F_SETLK, &(struct flock){.l_type = 17})));
	say("before the begin: %s", outcome(fcntl(segment, F_SETLK, &(struct flock){
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = -1,
	})));
	say("no file: %s", outcome(fcntl(-1, F_SETLK, &(struct flock){.l_type = F_WRLCK})));
	say("nothing: %s", outcome(fcntl(segment, F_SETLK, NULL)));
	say("duplicate: %s", outcome(close(fcntl(segment, F_DUPFD, 50))));
}

enum { USLEEP, NANOSLEEP, CLOCK_NANOSLEEP, SCHED_YIELD, SLEEPS };

static const char *const sleep_names[SLEEPS] = {
	"usleep", "nanosleep", "clock_nanosleep", "sched_yield",
};

static void rest(int call)
{
	struct timespec time = {0, 50000};

	switch (call) {
	case USLEEP: usleep(50); break;
	case NANOSLEEP: nanosleep(&time, NULL); break;
	case CLOCK_NANOSLEEP: clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL); break;
	case SCHED_YIELD: sched_yield(); break;
	}
}

static void await_word(int call, size_t at, long value)
{
	while (words[at] != value)
		rest(call);
}

/* Words by which two wait for each other. */
static void ask_sleeps(void)
{
	for (int call = 0; call < SLEEPS; call++) {
		pid_t child;

		put(0);
		child = fork();
		if (child == 0) {
			for (int i = 1; i <= ROUNDS / 2; i++) {
				await_word(call, 0, i);
				words[WORD] = i;
			}
			_exit(7);
		}
		for (int i = 1; i <= ROUNDS / 2; i++) {
			words[0] = i;
			await_word(call, WORD, i);
		}
		say("%s: %s", sleep_names[call], await(child, 0) ? "ok" : "wrong");
	}
}

static void ask_accept(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);
	socklen_t size;
	int wrong = 0;

	snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "talks-%d", (int)getpid());
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
	                   strlen(address.sun_path + 1));
	must(bind(sock, (struct sockaddr *)&address, size) == 0 && listen(sock, 5) == 0);
	for (int i = 1; i <= ROUNDS; i++) {
		pid_t child = fork();
		int peer;

		if (child == 0) {
			char byte;

			peer = socket(AF_UNIX, SOCK_STREAM, 0);
			put(i);
			must(connect(peer, (struct sockaddr *)&address, size) == 0);
			_exit(read(peer, &byte, 1) == 0 ? 7 : 1);
		}
		peer = i % 2 ? accept(sock, NULL, NULL) : accept4(sock, NULL, NULL, SOCK_CLOEXEC);
		wrong += peer < 0 || !is_there(i);
		close(peer);
		wrong += !await(child, 0);
	}
	close(sock);
	say("connect, accept: %d wrong", wrong);
}

static void body(void)
{
	segment = make_segment(NAME, 0600, SIZE);
	words = map_segment(segment);
	ask_ends();
	ask_executions();
	ask_closing("close");
	ask_closing("dup2");
	ask_closing("close_range");
	ask_closing("shutdown");
	ask_closing("fclose");
	ask_signals();
	ask_locks();
	ask_reaches();
	ask_sleeps();
	ask_accept();
	close(segment);
	shm_unlink(NAME);
}

int main(int argc, char **argv)
{
	if (argc > 3 && strcmp(argv[1], MARK) == 0)
		return mapped_main(argv);
	return probe_run(argc, argv, body);
}
