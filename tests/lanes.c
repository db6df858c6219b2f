/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lanes CASE [ARGUMENT]...: a client that asks often enough to be given a lane, and what becomes of
 * that. Exit status 0, or 1 and what is wrong. Plain libc: see clients/test_lanes.py, which has the
 * library preloaded. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lanes.h"

enum { SIZE = 8192, PATIENCE = 30 };

extern char **environ;

void fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf(" (errno %d, %s)\n", errno, strerror(errno));
	fflush(stdout);
	_exit(1);
}

const char *find_lane(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start = 0;
	char line[512];

	CHECK(maps, "/proc/self/maps");
	while (!start && fgets(line, sizeof line, maps))
		if (strstr(line, "memfd:shmemu-lane"))
			start = strtoul(line, NULL, 16);
	fclose(maps);
	return (const char *)start;
}

uint64_t last_serial(const char *lane)
{
	uint64_t serial;

	memcpy(&serial, lane + SERIAL_AT, sizeof serial);
	return serial;
}

void name_of(char name[static NAME_ROOM], const char *what, int number)
{
	snprintf(name, NAME_ROOM, "/lanes-%d-%s-%d", (int)getpid(), what, number);
}

int make(const char *name)
{
	int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);

	CHECK(fd >= 0, "make %s", name);
	return fd;
}

static void segment(const char *name)
{
	struct stat status;
	int fd = make(name);
	char *memory;

	CHECK(fstat(fd, &status) == 0 && status.st_size == 0 && status.st_nlink == 1 &&
	      S_ISREG(status.st_mode) && (status.st_mode & 07777) == 0600,
	      "fstat of new %s: %ld %ld %o", name, (long)status.st_size, (long)status.st_nlink,
	      status.st_mode);
	CHECK(status.st_uid == geteuid() && status.st_gid == getegid(), "owner of %s: %d %d", name,
	      status.st_uid, status.st_gid);
	CHECK(ftruncate(fd, SIZE) == 0, "ftruncate %s", name);
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(memory != MAP_FAILED, "mmap %s", name);
	memory[SIZE - 1] = 'x';
	CHECK(munmap(memory, SIZE) == 0 && shm_unlink(name) == 0, "shm_unlink %s", name);
	CHECK(fstat(fd, &status) == 0 && status.st_nlink == 0, "fstat of removed %s: %ld", name,
	      (long)status.st_nlink);
	CHECK(close(fd) == 0, "close");
	CHECK(shm_unlink(name) < 0 && errno == ENOENT, "shm_unlink of removed %s", name);
}

/* Its number is of no use to its maker: the answer comes with a descriptor. */
static void unreadable(const char *name)
{
	int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0);

	CHECK(fd >= 0, "make %s, which nobody may open", name);
	CHECK(write(fd, name, 1) == 1 && close(fd) == 0, "write to %s", name);
	CHECK(shm_unlink(name) == 0, "shm_unlink %s", name);
}

static void semaphore(const char *name)
{
	sem_t *sem = sem_open(name, O_CREAT | O_EXCL, 0600, 1);

	CHECK(sem != SEM_FAILED, "sem_open %s", name);
	CHECK(sem_trywait(sem) == 0, "sem_trywait %s", name);
	CHECK(sem_open(name, O_CREAT | O_EXCL, 0600, 1) == SEM_FAILED && errno == EEXIST,
	      "sem_open of what is there: %s", name);
	CHECK(sem_unlink(name) == 0, "sem_unlink %s", name);
	CHECK(sem_close(sem) == 0, "sem_close %s", name);
	CHECK(sem_unlink(name) < 0 && errno == ENOENT, "sem_unlink of removed %s", name);
}

void rounds(const char *what, int count)
{
	char name[NAME_ROOM];

	for (int i = 0; i < count; i++) {
		name_of(name, what, i);
		segment(name);
	}
}

const char *get_lane(void)
{
	const char *lane = NULL;
	uint64_t before;

	for (int i = 0; i < 20 && !lane; i++) {
		rounds("get", MANY);
		lane = find_lane();
	}
	CHECK(lane, "there is no lane");
	before = last_serial(lane);
	/* On a busy machine nobody looks for long. */
	for (time_t end = time(NULL) + PATIENCE; last_serial(lane) == before;) {
		CHECK(time(NULL) < end, "the lane is not used");
		rounds("use", MANY);
	}
	return lane;
}

static void say(const char *word)
{
	puts(word);
	fflush(stdout);
}

static void await_word(void)
{
	char byte;

	while (read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR)
		continue;
}

/* lane N: so many segments, and is there one? */
static void case_lane(char **arguments)
{
	rounds("lane", atoi(arguments[0]));
	say(find_lane() ? "lane" : "none");
}

/* remove NAME...: each is there, once. */
static void case_remove(char **arguments)
{
	for (; *arguments; arguments++) {
		CHECK(shm_unlink(*arguments) == 0, "%s can't be removed", *arguments);
		CHECK(shm_unlink(*arguments) < 0 && errno == ENOENT, "%s is twice", *arguments);
	}
}

/* hold: until told to go on; go on, and end. */
static void case_hold(char **arguments)
{
	(void)arguments;
	rounds("hold", MANY);
	say(find_lane() ? "lane" : "none");
	await_word();
	rounds("hold", MANY);
	say(find_lane() ? "lane" : "none");
}

void wait_for(pid_t pid, const char *what)
{
	int status = -1;

	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid, "no %s", what);
	CHECK(status == 0, "%s: status %x", what, status);
}

/* Whatever it has of the library's, it asks by the socket. */
static void in_child_of_vfork(const char *lane)
{
	uint64_t before = last_serial(lane);
	pid_t pid = vfork();

	if (pid == 0) {
		int fd = shm_open("/lanes-vfork", O_RDWR | O_CREAT | O_EXCL, 0600);

		_exit(fd < 0 || close(fd) < 0 || shm_unlink("/lanes-vfork") < 0 ? errno : 0);
	}
	wait_for(pid, "child of vfork");
	CHECK(last_serial(lane) == before, "a child of vfork has used its parent's lane");
}

static void spawn_self(const char *word, const char *argument)
{
	char texts[3][NAME_ROOM] = {"lanes"};
	char *arguments[] = {texts[0], texts[1], texts[2], NULL};
	pid_t pid;

	snprintf(texts[1], NAME_ROOM, "%s", word);
	snprintf(texts[2], NAME_ROOM, "%s", argument);

	fflush(stdout);
	CHECK(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environ) == 0, "spawn");
	wait_for(pid, "child of posix_spawn");
}

static void case_children(char **arguments)
{
	const char *lane = get_lane();
	pid_t pid = fork();

	(void)arguments;
	if (pid == 0) {
		CHECK(!find_lane(), "the child has its parent's lane");
		rounds("child", 3);
		CHECK(!find_lane(), "the child has a lane at once");
		get_lane();
		_exit(0);
	}
	wait_for(pid, "child");
	in_child_of_vfork(lane);
	spawn_self("lane", "5");
	rounds("parent", MANY);
	CHECK(find_lane(), "the parent's lane is gone");
}

/* Between two requests all that the library has open goes. */
static void lose_all(int how)
{
	int other = memfd_create("own", MFD_CLOEXEC);
	struct stat before, after;
	int limit = 1100;

	CHECK(other >= 0 && write(other, "own", 3) == 3 && dup2(other, 200) == 200, "memfd");
	for (int fd = 3; fd < limit && how == 0; fd++)
		close(fd);
	if (how == 1)
		CHECK(close_range(3, ~0U, 0) == 0, "close_range");
	if (how == 0 || how == 1) {
		other = memfd_create("own", MFD_CLOEXEC);
		CHECK(other >= 0 && write(other, "own", 3) == 3, "memfd");
	}
	for (int fd = 3; fd < limit && how == 2; fd++)
		if (fd != other && fcntl(fd, F_GETFD) >= 0)
			CHECK(dup2(other, fd) == fd, "dup2 %d", fd);
	CHECK(fstat(other, &before) == 0, "own");
	rounds("lost", MANY);
	CHECK(fstat(other, &after) == 0 && after.st_size == 3 && after.st_ino == before.st_ino,
	      "a file of the program's own: %ld bytes", (long)after.st_size);
	CHECK(how == 2 || close(other) == 0, "close");
}

static void case_fds(char **arguments)
{
	(void)arguments;
	for (int i = 0; i < 12; i++) {
		get_lane();
		lose_all(i % 3);
	}
}

/* What a new file is like whose modes, flags and umask are these. */
static void check_new(mode_t mode, mode_t mask, int flags)
{
	char name[NAME_ROOM];
	struct stat status;
	char byte = 'x';
	int fd;

	name_of(name, "modes", (int)mode);
	umask(mask);
	fd = shm_open(name, flags | O_CREAT, mode);
	umask(022);
	CHECK(fd >= 0, "mode %o, umask %o, flags %x", mode, mask, flags);
	CHECK(fstat(fd, &status) == 0 && (status.st_mode & 07777) == (mode & ~mask & 07777),
	      "mode %o, umask %o: %o", mode, mask, status.st_mode);
	CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == (flags & O_ACCMODE), "access");
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC, "no FD_CLOEXEC");
	if ((flags & O_ACCMODE) == O_RDWR)
		CHECK(write(fd, &byte, 1) == 1 && pread(fd, &byte, 1, 0) == 1, "mode %o", mode);
	else
		CHECK(write(fd, &byte, 1) < 0 && errno == EBADF, "it can be written to");
	CHECK(fstat(fd, &status) == 0 && status.st_nlink == 1, "nlink");
	close(fd);
	CHECK(shm_open(name, flags | O_CREAT | O_EXCL, mode) < 0 && errno == EEXIST, "EEXIST");
	if (mode & ~mask & 0600) {
		fd = shm_open(name, O_RDWR | O_CREAT | O_TRUNC, mode);
		CHECK((fd >= 0) == (geteuid() == 0 || (mode & ~mask & 0600) == 0600), "O_TRUNC");
		CHECK(fd < 0 || (fstat(fd, &status) == 0 && status.st_size == 0), "not empty");
		if (fd >= 0)
			close(fd);
	}
	CHECK(shm_unlink(name) == 0, "unlink");
}

static void check_all_modes(void)
{
	static const mode_t modes[] = {0, 0400, 0200, 0600, 0666, 0444, 01777, 0060};
	static const int flags[] = {O_RDWR, O_RDONLY, O_RDWR | O_TRUNC, O_RDWR | O_EXCL,
	                            O_RDWR | O_NOFOLLOW, O_RDONLY | O_EXCL,
	                            O_RDWR | O_TRUNC | O_EXCL | O_NOFOLLOW};

	for (size_t mode = 0; mode < sizeof modes / sizeof modes[0]; mode++)
		for (size_t flag = 0; flag < sizeof flags / sizeof flags[0]; flag++) {
			check_new(modes[mode], 0, flags[flag]);
			check_new(modes[mode], 022, flags[flag]);
			check_new(modes[mode], 0777, flags[flag]);
		}
}

static void case_modes(char **arguments)
{
	const char *lane = get_lane();
	uint64_t before = last_serial(lane);
	time_t end = time(NULL) + PATIENCE;

	(void)arguments;
	for (int i = 0; i < 20 || last_serial(lane) == before; i++) {
		CHECK(time(NULL) < end, "the lane is not used");
		check_all_modes();
	}
}

/* No number is left: there is no such name then. */
static void case_full(char **arguments)
{
	const char *lane = get_lane();
	struct rlimit limit;
	char name[NAME_ROOM];
	int last = -1;

	(void)arguments;
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0, "limit");
	for (int fd; (fd = dup(STDIN_FILENO)) >= 0 && fd < 900;)
		last = fd;
	limit.rlim_cur = (rlim_t)last + 1;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0, "limit");
	for (int i = 0; i < 3000; i++) {
		name_of(name, "full", i);
		if (i % 3 == 0) {
			close(last);
			segment(name);
			last = dup(STDIN_FILENO);
		}
		CHECK(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600) < 0 && errno == EMFILE,
		      "open with a full table");
		CHECK(shm_unlink(name) < 0 && errno == ENOENT, "a name that is left: %s", name);
	}
	CHECK(close(last) == 0 && find_lane() == lane, "the lane is gone");
}

/* As Linux's coarse clock has it, which file times are taken from. */
static struct timespec now_coarse(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return now;
}

static void check_changed(const struct stat *status, struct timespec since, int round)
{
	struct timespec then = status->st_mtim;

	CHECK(then.tv_sec > since.tv_sec ||
	      (then.tv_sec == since.tv_sec && then.tv_nsec >= since.tv_nsec),
	      "the folder has not changed in round %d", round);
}

enum look { BY_PATH, BY_DESCRIPTOR, BY_KERNEL };

static struct look_at {
	enum look how;
	const char *path;
	int folder;
} look_at;

static void look_after(struct timespec since, int round)
{
	struct stat status;
	int result;

	if (look_at.how == BY_PATH)
		result = stat(look_at.path, &status);
	else if (look_at.how == BY_DESCRIPTOR)
		result = (int)syscall(SYS_fstat, look_at.folder, &status);
	else
		result = (int)syscall(SYS_newfstatat, AT_FDCWD, look_at.path, &status, 0);
	CHECK(result == 0, "%s", look_at.path);
	check_changed(&status, since, round);
}

static void change_and_look(int rounds)
{
	char name[NAME_ROOM];

	for (int i = 0; i < rounds; i++) {
		struct timespec begun = now_coarse();
		int fd;

		name_of(name, "times", i);
		fd = make(name);
		if (i % 2)
			look_after(begun, i);
		begun = now_coarse();
		CHECK(shm_unlink(name) == 0, "unlink");
		look_after(begun, i);
		close(fd);
	}
}

/* times [PATH]: that of /dev/shm, which nobody has looked at before, by its path and by a
 * descriptor of before; or of the folder that the kernel has there. */
static void case_times(char **arguments)
{
	const char *lane = get_lane();
	uint64_t before;

	look_at.how = arguments[0] ? BY_KERNEL : BY_PATH;
	look_at.path = arguments[0] ? arguments[0] : "/dev/shm";
	/* The clock ticks meanwhile. */
	for (int i = 0; i < MANY && arguments[0]; i++) {
		usleep(10000);
		rounds("before", 1);
		change_and_look(1);
	}
	usleep(20000);
	before = last_serial(lane);
	change_and_look(2000);
	look_at.how = arguments[0] ? BY_KERNEL : BY_DESCRIPTOR;
	look_at.folder = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(look_at.folder >= 0, "/dev/shm");
	for (time_t end = time(NULL) + PATIENCE; last_serial(lane) == before;) {
		CHECK(time(NULL) < end, "the lane is not used");
		change_and_look(2000);
	}
}

/* load KIND SEED: until standard input ends. */
static bool is_over(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&input, 1, 0) != 0;
}

/* A daemon that knows of no lanes may have come: then it is gone. */
static uint64_t serial_if_there(const char *lane)
{
	uint64_t serial = 0;
	struct iovec to = {&serial, sizeof serial};
	struct iovec from = {(void *)(uintptr_t)(lane + SERIAL_AT), sizeof serial};

	if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) < 0)
		return 0;
	return serial;
}

static void case_load(char **arguments)
{
	bool with_semaphores = strcmp(arguments[0], "sem") == 0;
	uint64_t serial = 0;
	uint64_t last;
	long by_lane = 0;
	long count = 0;
	char name[NAME_ROOM];

	say("ready");
	for (; !is_over(); count++) {
		const char *lane = count % 64 ? NULL : find_lane();

		name_of(name, arguments[1], (int)(count % 7));
		if (with_semaphores && count % 2)
			semaphore(name);
		else if (count % 5 == 4)
			unreadable(name);
		else
			segment(name);
		last = lane ? serial_if_there(lane) : serial;
		if (last && last != serial)
			by_lane++;
		serial = last;
	}
	printf("%ld %ld\n", count, by_lane);
}

/* Signal handlers that do the same, in its midst; and threads. */
static volatile sig_atomic_t handled;
static volatile bool forks;

static void handle(int number)
{
	char name[NAME_ROOM];
	int saved = errno;

	(void)number;
	if (forks && handled % 5 == 0) {
		pid_t pid = fork();

		/* The child goes on where its parent was interrupted, too, and ends soon. */
		if (pid == 0) {
			/* By a connection of its own: by its parent's it could take its answer. */
			handled = -1000000;
			segment("/lanes-handler-child");
			return;
		}
		wait_for(pid, "child of a handler");
	}
	name_of(name, "handler", (int)handled++);
	segment(name);
	errno = saved;
}

static void *loop(void *what)
{
	for (int i = 0; i < 40; i++)
		rounds(what, 20);
	return NULL;
}

static void run_timer(long microseconds)
{
	struct itimerval often = {{0, microseconds}, {0, microseconds}};
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
}

static void case_handlers(char **arguments)
{
	pthread_t threads[3];

	(void)arguments;
	get_lane();
	run_timer(500);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, loop, (void *)(uintptr_t)(
			(const char *[]){"one", "two", "three"}[i]));
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	CHECK(handled > 20, "only %d were handled", (int)handled);
}

/* A child that returns from the handler into the call that was interrupted: what that says may be
 * anything, but the child is there to read it. */
static void case_forking_handler(char **arguments)
{
	int count = 0;

	(void)arguments;
	get_lane();
	forks = true;
	run_timer(1000);
	while (handled < 600) {
		char name[NAME_ROOM];
		int fd;

		name_of(name, "forking", count++);
		fd = shm_open(name, O_RDWR | O_CREAT, 0600);
		if (handled < 0)
			_exit(0);
		CHECK(fd >= 0, "open");
		close(fd);
		fd = shm_unlink(name);
		if (handled < 0)
			_exit(0);
		CHECK(fd == 0 || errno == ENOENT, "unlink");
	}
}

static const struct {
	const char *name;
	void (*run)(char **arguments);
} cases[] = {
	{"lane", case_lane},
	{"remove", case_remove},
	{"hold", case_hold},
	{"children", case_children},
	{"ids", case_ids},
	{"thread-ids", case_thread_ids},
	{"raw-ids", case_raw_ids},
	{"forged", case_forged},
	{"fds", case_fds},
	{"modes", case_modes},
	{"full", case_full},
	{"times", case_times},
	{"load", case_load},
	{"handlers", case_handlers},
	{"forking-handler", case_forking_handler},
};

int main(int count, char **arguments)
{
	for (size_t i = 0; count > 1 && i < sizeof cases / sizeof cases[0]; i++)
		if (strcmp(arguments[1], cases[i].name) == 0) {
			cases[i].run(arguments + 2);
			return 0;
		}
	return 2;
}
