/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reference does not depend on what is tested: the native world is made here by hand, not by
 * shmemu without. Whatever a program leaves running comes to the test process (child subreaper)
 * and ends with the world. */
#include "tests/world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/client.h"
#include "base/client_ipc.h"
#include "base/own.h"
#include "base/place.h"
#include "tests/find.h"
#include "tests/host.h"

enum { RUN_SECONDS = 60, END_SECONDS = 10, READY_FD = 3, ARGUMENTS_MAX = 32, PATH_SIZE = 512 };

struct path {
	char text[PATH_SIZE];
};

const char *const *world_withheld;
bool world_daemon_dies;

static struct path path_in(const struct world *world, const char *name)
{
	struct path path;

	snprintf(path.text, sizeof path.text, "%s/%s", world->folder, name);
	return path;
}

void world_problem(struct world *world, const char *format, ...)
{
	va_list values;

	if (world->problem[0])
		return;
	va_start(values, format);
	vsnprintf(world->problem, sizeof world->problem, format, values);
	va_end(values);
}

char *world_read(const struct world *world, const char *name)
{
	struct path path = path_in(world, name);
	FILE *file = fopen(path.text, "re");
	char *text = NULL;
	size_t room = 0;

	if (!file)
		return NULL;
	/* Texts have no NUL: this reads all of it. */
	if (getdelim(&text, &room, '\0', file) < 0 && text)
		text[0] = '\0';
	fclose(file);
	return text ? text : strdup("");
}

bool world_has_library(enum world_kind kind)
{
	return kind != WORLD_NATIVE && kind != WORLD_PLAIN;
}

bool world_is_mounted(enum world_kind kind)
{
	return kind == WORLD_MOUNT || kind == WORLD_DIRECT || kind == WORLD_PLAIN;
}

bool world_is_embedded(enum world_kind kind)
{
	return kind == WORLD_EMBEDDED || kind == WORLD_BARE;
}

const char *world_obstacle(enum world_kind kind, uid_t uid)
{
	if (!getenv("SHMEMU_PREFIX") || !getenv("SHMEMU_PROBES"))
		return "needs an installed tree: run scripts/test";
	if (geteuid() != 0 && uid == 0)
		return "needs root";
	if (geteuid() != 0 && world_is_mounted(kind))
		return "needs root to mount";
	if (world_is_embedded(kind) && access(PLACE_SYSTEM "/" PLACE_SOCKET, F_OK) == 0)
		return "a system daemon serves this host";
	if (world_is_mounted(kind) && access("/dev/fuse", R_OK | W_OK) < 0)
		return "needs /dev/fuse";
	return NULL;
}

static void set_environment(const struct world *world)
{
	char log[PATH_SIZE + 16];

	snprintf(log, sizeof log, "trace:%s", path_in(world, "trace").text);
	clearenv();
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("LC_ALL", "C", 1);
	setenv("TMPDIR", path_in(world, "tmp").text, 1);
	/* For a sanitized tool that is run under the library. */
	setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
	/* See tests/probes/ipc.c. */
	if (world->killer > 0 || (world->daemon > 0 && world_daemon_dies))
		setenv("WORKER_IS_KILLED", "1", 1);
	/* Where the daemon can be asked, it is; the library then runs as most users have it. */
	if (!world_has_library(world->kind) || world->kind == WORLD_SOCKET ||
	    world_is_embedded(world->kind))
		setenv("SHMEMU_LOG", log, 1);
}

static void redirect(const struct world *world, const char *output, const char *errors)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int out = open(path_in(world, output).text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	int err = open(path_in(world, errors).text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	insist(null >= 0 && dup2(null, STDIN_FILENO) >= 0, "standard input");
	insist(err >= 0 && dup2(err, STDERR_FILENO) >= 0, errors);
	insist(out >= 0 && dup2(out, STDOUT_FILENO) >= 0, output);
}

struct command {
	const char *words[ARGUMENTS_MAX];
	int count;
};

static void add(struct command *command, const char *word)
{
	if (command->count < ARGUMENTS_MAX - 1)
		command->words[command->count++] = word;
}

/* nanvix, but for root staying root. */
static void add_without_nanvix(struct command *command, const struct world *world)
{
	static const char *const whats[] = {
		"dev-shm", "fuse", "memfd_create", "mmap-file", "mmap-shared",
		"mmap-shared-anonymous", "msync", "mremap", "madvise",
	};

	if (world->uid != 0)
		add(command, "nanvix");
	for (size_t i = 0; world->uid == 0 && i < sizeof whats / sizeof whats[0]; i++)
		add(command, whats[i]);
}

/* What takes away from the host, for the programs. */
static void add_without(struct command *command, const struct world *world)
{
	add(command, find_tool("shmemu"));
	add(command, "without");
	if (world->kind == WORLD_BARE) {
		add_without_nanvix(command, world);
	} else if (world->uid == 0) {
		add(command, "dev-shm");
		if (!world_is_mounted(world->kind))
			add(command, "fuse");
	} else {
		add(command, "lambda");
	}
	for (size_t i = 0; world_withheld && world_withheld[i]; i++)
		add(command, world_withheld[i]);
	add(command, "--");
}

static void add_words(struct command *command, const struct world *world, const char *preload)
{
	if (!world_has_library(world->kind))
		return;
	if (world->kind == WORLD_SOCKET) {
		add(command, find_tool("shmemu"));
		add(command, "run");
		add(command, "--");
	}
	add_without(command, world);
	if (world->kind != WORLD_SOCKET) {
		add(command, "env");
		add(command, preload);
	}
}

static _Noreturn void exec_program(const struct world *world, const char *const *argv)
{
	struct command command = {.count = 0};
	struct path preload;

	snprintf(preload.text, sizeof preload.text, "LD_PRELOAD=%s", world->library);
	add_words(&command, world, preload.text);
	add(&command, find_probe(argv[0]));
	for (int i = 1; argv[i]; i++)
		add(&command, argv[i]);
	set_environment(world);
	if (world->kind == WORLD_MEMFD || world_is_mounted(world->kind))
		setenv("SHMEMU_DIR", path_in(world, "daemon").text, 1);
	insist(chdir(world->folder) == 0, world->folder);
	execvp(command.words[0], (char *const *)(uintptr_t)command.words);
	insist(false, command.words[0]);
	_exit(EXIT_FAILURE);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
	(void)status;
	(void)type;
	(void)at;
	return remove(path);
}

static void make_folder(struct world *world)
{
	static const mode_t sticky = 01777;
	struct path tmp, trace;
	int file;

	snprintf(world->folder, sizeof world->folder, "/tmp/shmemu-world-XXXXXX");
	if (!mkdtemp(world->folder)) {
		world->folder[0] = '\0';
		world_problem(world, "cannot make a folder in /tmp: %s", strerror(errno));
		return;
	}
	tmp = path_in(world, "tmp");
	trace = path_in(world, "trace");
	file = open(trace.text, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (chmod(world->folder, 0755) < 0 || mkdir(tmp.text, sticky) < 0 ||
	    chmod(tmp.text, sticky) < 0 || mkdir(path_in(world, "mnt").text, 0755) < 0 ||
	    file < 0 || fchmod(file, 0666) < 0)
		world_problem(world, "cannot furnish %s: %s", world->folder, strerror(errno));
	if (file >= 0)
		close(file);
}

static _Noreturn void exec_daemon(const struct world *world, int ready)
{
	struct path folder = path_in(world, "daemon");
	struct path mount_point = path_in(world, "mnt");
	char dir[PATH_SIZE + 8], ready_fd[32];
	const char *program = world_daemon_dies ? find_probe("shmfs-dying") : find_tool("shmfs");
	const char *where = world->kind == WORLD_PLAIN ? "/dev/shm" : mount_point.text;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (world_is_mounted(world->kind))
		own_mounts();
	redirect(world, "daemon.out", "daemon.err");
	set_environment(world);
	setenv("DIES_ONE_IN", "30", 1);
	insist(dup2(ready, READY_FD) == READY_FD && fcntl(READY_FD, F_SETFD, 0) == 0, "ready pipe");
	snprintf(dir, sizeof dir, "--dir=%s", folder.text);
	snprintf(ready_fd, sizeof ready_fd, "--ready-fd=%d", READY_FD);
	execl(program, "shmfs", "--foreground", dir, ready_fd,
	      world->kind == WORLD_MEMFD    ? "--source=memfd"
	      : world->kind == WORLD_DIRECT ? "--passthrough=off"
	                                    : "--passthrough=require",
	      world->kind == WORLD_MEMFD ? "--no-mount" : where, NULL);
	insist(false, program);
	_exit(EXIT_FAILURE);
}

static void start_daemon(struct world *world)
{
	struct pollfd serving = {.events = POLLIN};
	struct path mounts;
	int ends[2];
	char byte;

	if (pipe2(ends, O_CLOEXEC) < 0) {
		world_problem(world, "pipe: %s", strerror(errno));
		return;
	}
	world->daemon = fork();
	if (world->daemon == 0)
		exec_daemon(world, ends[1]);
	close(ends[1]);
	serving.fd = ends[0];
	if (poll(&serving, 1, END_SECONDS * 1000) != 1 || read(ends[0], &byte, 1) != 1) {
		char *errors = world_read(world, "daemon.err");

		world_problem(world, "the daemon does not serve: %s", errors ? errors : "");
		free(errors);
	}
	close(ends[0]);
	if (!world_is_mounted(world->kind))
		return;
	snprintf(mounts.text, sizeof mounts.text, "/proc/%d/ns/mnt", world->daemon);
	world->mounts = open(mounts.text, O_RDONLY | O_CLOEXEC);
}

void world_begin(struct world *world, enum world_kind kind, uid_t uid)
{
	*world = (struct world){.kind = kind, .uid = uid, .mounts = -1};
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	make_folder(world);
	if (!find_library(world->library, sizeof world->library))
		world_problem(world, "there is no libshmemu.so in %s", getenv("SHMEMU_PREFIX"));
	if (!world->problem[0] && (kind == WORLD_MEMFD || world_is_mounted(kind)))
		start_daemon(world);
}

/* Returns as in struct run. */
static int await_end(pid_t pid, int seconds)
{
	OWN_FD process = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd end = {.fd = process, .events = POLLIN};
	int status;

	if (process < 0 || poll(&end, 1, seconds * 1000) != 1 || waitpid(pid, &status, 0) != pid)
		return WORLD_TIMEOUT;
	return WIFEXITED(status) ? WEXITSTATUS(status) : WORLD_SIGNAL + WTERMSIG(status);
}

/* The process, its group, and it as our child. */
static void kill_all(pid_t pid)
{
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static _Noreturn void become_program(const struct world *world, const char *const *argv)
{
	setpgid(0, 0);
	redirect(world, "output", "errors");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (world->kind == WORLD_NATIVE)
		enter_native(world->uid);
	if (world_is_mounted(world->kind))
		insist(setns(world->mounts, CLONE_NEWNS) == 0, "the daemon's mounts");
	if (world->kind == WORLD_PLAIN)
		become_user(world->uid);
	exec_program(world, argv);
}

void world_run(struct world *world, const char *const *argv, struct run *ret_run)
{
	pid_t pid;

	*ret_run = (struct run){.status = WORLD_TIMEOUT};
	if (world->problem[0])
		return;
	pid = fork();
	if (pid == 0)
		become_program(world, argv);
	if (pid < 0) {
		world_problem(world, "fork: %s", strerror(errno));
		return;
	}
	setpgid(pid, pid);
	ret_run->status = await_end(pid, RUN_SECONDS);
	if (ret_run->status == WORLD_TIMEOUT)
		kill_all(pid);
	else
		kill(-pid, SIGKILL);
	ret_run->output = world_read(world, "output");
	ret_run->errors = world_read(world, "errors");
}

void run_deinit(struct run *run)
{
	free(run->output);
	free(run->errors);
}

static int connect_daemon(const struct world *world)
{
	struct path path = path_in(world, "daemon");
	OWN_FD folder = -1;

	if (world_is_embedded(world->kind))
		snprintf(path.text, sizeof path.text, "%s/tmp/shmemu-%u", world->folder,
		         world->uid);
	folder = place_open(path.text, world->uid);
	return folder < 0 ? folder : place_connect(folder, path.text, world->uid);
}

static int count_descriptors(pid_t pid)
{
	struct path path;
	DIR *folder;
	int count = 0;

	snprintf(path.text, sizeof path.text, "/proc/%d/fd", pid);
	folder = opendir(path.text);
	if (!folder)
		return -1;
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

bool world_daemon_state(struct world *world, struct daemon_state *ret_state)
{
	OWN_FD sock = connect_daemon(world);
	struct wire_request request = wire_request_make(WIRE_STATUS);
	struct client_answer answer;
	int result = sock;

	/* It may not have read the ends of the connections yet. */
	for (int i = 0; i < END_SECONDS * 100 && result >= 0; i++) {
		result = client_ask(sock, &request, &answer);
		if (result < 0 || answer.reply.status.connections == 1)
			break;
		poll(NULL, 0, 10);
	}
	if (result < 0) {
		world_problem(world, "the daemon does not answer: %s", strerror(-result));
		return false;
	}
	ret_state->status = answer.reply.status;
	ret_state->descriptors = count_descriptors((pid_t)answer.reply.status.pid);
	return true;
}

char *world_names(struct world *world)
{
	OWN_FD sock = connect_daemon(world);
	struct wire_request request = wire_request_make(WIRE_LIST);
	struct wire_entry entries[WIRE_LIST_MAX];
	struct client_answer answer = {.entries = entries};
	char *names = strdup("");
	int result = sock;

	for (int count = 1; names && result >= 0 && count > 0;) {
		result = client_ask(sock, &request, &answer);
		count = result < 0 ? 0 : answer.reply.result;
		for (int i = 0; i < count; i++) {
			char *before = names;

			if (asprintf(&names, "%s%s ", before, entries[i].name) < 0)
				names = NULL;
			free(before);
			request.cursor = entries[i].cookie;
		}
	}
	if (result < 0)
		world_problem(world, "the daemon does not list: %s", strerror(-result));
	return names;
}

/* Adds a page of entries to the text. */
static char *tell_objects(char *before, const struct wire_ipc_entry *entries, size_t count)
{
	static const char *const families[] = {"?", "shm", "sem", "msg", "mq"};

	for (size_t i = 0; before && i < count; i++) {
		const struct wire_ipc_stat *stat = &entries[i].stat;
		char *text = before, key[16];

		snprintf(key, sizeof key, "%x", (unsigned)stat->key);
		if (asprintf(&before, "%s%s %s %lu ", text, families[stat->family % 5],
		             stat->family == WIRE_MQ ? entries[i].name : key,
		             (unsigned long)stat->size) < 0)
			before = NULL;
		free(text);
	}
	return before;
}

char *world_objects(struct world *world)
{
	OWN_FD sock = connect_daemon(world);
	struct client_ipc call = client_ipc_make(WIRE_IPC_LIST);
	static struct wire_ipc_entry entries[WIRE_BYTES_MAX / sizeof(struct wire_ipc_entry)];
	char *text = strdup("");
	int result = sock;

	call.text = entries;
	call.text_room = sizeof entries;
	for (size_t count = 1; text && result >= 0 && count > 0;) {
		result = client_ipc_send(sock, &call);
		if (result >= 0)
			result = client_ipc_receive(sock, &call, CLIENT_PATIENT);
		if (result >= 0)
			result = call.reply.result;
		count = result < 0 ? 0 : call.told.length / sizeof entries[0];
		text = tell_objects(text, entries, count);
		call.request.cursor = call.told.cursor;
	}
	if (result < 0)
		world_problem(world, "the daemon does not list: %s", strerror(-result));
	return text;
}

static _Noreturn void kill_workers(const struct world *world, unsigned seed)
{
	struct wire_request request = wire_request_make(WIRE_STATUS);
	struct client_answer answer;
	OWN_FD sock = -1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	srand(seed);
	/* The program may still have to start it. */
	for (int i = 0; i < END_SECONDS * 1000 && sock < 0; i++) {
		sock = connect_daemon(world);
		if (sock < 0)
			poll(NULL, 0, 1);
	}
	while (sock >= 0 && client_ask(sock, &request, &answer) == 0) {
		/* The first at once, for a probe may be short; but one that is killed as soon as it
		 * answers would never get on with the work. */
		if (*world->kills)
			poll(NULL, 0, 5 + rand() % 40);
		kill((pid_t)answer.reply.status.pid, SIGKILL);
		++*world->kills;
	}
	_exit(EXIT_FAILURE);
}

void world_harass(struct world *world, unsigned seed)
{
	world->kills = mmap(NULL, sizeof *world->kills, PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (world->kills == MAP_FAILED) {
		world_problem(world, "mmap: %s", strerror(errno));
		return;
	}
	world->killer = fork();
	if (world->killer == 0)
		kill_workers(world, seed);
	/* The first connection to a daemon with a mount may wait longer than a probe takes. */
	for (int i = 0; i < END_SECONDS * 1000 && world->daemon && !*world->kills; i++)
		poll(NULL, 0, 1);
}

void world_spare(struct world *world)
{
	if (world->killer <= 0)
		return;
	kill(world->killer, SIGKILL);
	if (await_end(world->killer, END_SECONDS) != WORLD_SIGNAL + SIGKILL)
		world_problem(world, "who kills workers could not go on");
	if (*world->kills == 0)
		world_problem(world, "no worker was killed");
	munmap(world->kills, sizeof *world->kills);
	world->killer = 0;
}

static void end_daemon(struct world *world)
{
	char *errors;
	int status;

	kill(world->daemon, SIGTERM);
	status = await_end(world->daemon, END_SECONDS);
	if (status == WORLD_TIMEOUT)
		kill_all(world->daemon);
	errors = world_read(world, "daemon.err");
	if (errors && errors[0])
		world_problem(world, "the daemon complained: %s", errors);
	if (status != EXIT_SUCCESS)
		world_problem(world, "the daemon ended with status %d", status);
	free(errors);
}

/* Orphans came to us. */
static void end_orphans(void)
{
	FILE *children;
	int pid;

	for (int round = 0; round < 100; round++) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
		children = fopen("/proc/thread-self/children", "re");
		if (!children)
			return;
		if (fscanf(children, "%d", &pid) != 1)
			round = 100;
		else
			kill(pid, SIGKILL);
		fclose(children);
		poll(NULL, 0, 1);
	}
}

void world_end(struct world *world)
{
	world_spare(world);
	if (world->daemon > 0)
		end_daemon(world);
	fd_close_at(&world->mounts);
	end_orphans();
	if (world->folder[0])
		nftw(world->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
