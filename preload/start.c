/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon must be nobody's child: a program that waits for its children must not meet one it
 * never had, nor be sent a SIGCHLD for it. So it is spawned by a child that is gone at once and
 * that had no exit signal (clone(2): waited for only with __WCLONE). That child shares our memory
 * like vfork's and does nothing but posix_spawn. */
#include "preload/start.h"

#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/own.h"
#include "base/place.h"
#include "preload/boot.h"
#include "preload/real.h"

extern char **environ;

enum { STACK_SIZE = 64 << 10, PATHS_MAX = 3, ARGUMENTS_MAX = 8 };

/* Mapped, not on the stack: that may be a small one, of a thread of the program's. */
struct launch {
	char stack[STACK_SIZE]; /* the child's */
	struct text paths[PATHS_MAX]; /* where shmfs may be */
	struct text folder;     /* --dir=PATH */
	char *argv[ARGUMENTS_MAX];
	char **env;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int result; /* posix_spawn's: 0 or a positive errno */
};

/* Beside the library, as installed, and as built. Of a library that is linked in only its builder
 * knows where it is installed: that path is absolute then. */
static void find_daemon(const struct text *library, struct text ret_paths[static PATHS_MAX])
{
	static const char *const known[PATHS_MAX] = {
		"shmfs", SHMEMU_LIBDIR_TO_BINDIR "/shmfs", "../fuse/shmfs",
	};
	const char *slash = strrchr(library->bytes, '/');
	size_t folder = slash ? (size_t)(slash - library->bytes) + 1 : 0;

	for (int i = 0; i < PATHS_MAX; i++) {
		ret_paths[i] = TEXT_NULL;
		if (known[i][0] != '/')
			text_bytes(&ret_paths[i], library->bytes, folder);
		text_string(&ret_paths[i], known[i]);
	}
}

static size_t count_environment(void)
{
	size_t count = 0;

	while (environ && environ[count])
		count++;
	return count;
}

/* Without LD_PRELOAD: the daemon must not be its own client. At most `room` of them: another thread
 * may be adding some. */
static void copy_environment(char **ret_copy, size_t room)
{
	size_t count = 0;

	for (char **at = environ; at && *at && count < room; at++)
		if (strncmp(*at, "LD_PRELOAD=", strlen("LD_PRELOAD=")) != 0)
			ret_copy[count++] = *at;
	ret_copy[count] = NULL;
}

static int spawn_and_vanish(void *argument)
{
	struct launch *launch = argument;
	pid_t ignored;

	launch->result = ENOENT;
	for (int i = 0; i < PATHS_MAX && launch->result == ENOENT; i++)
		launch->result = REAL(posix_spawn)(
			&ignored, launch->paths[i].bytes, &launch->actions, &launch->attributes,
			launch->argv, launch->env);
	return 0;
}

static int clone_and_spawn(struct launch *launch)
{
	const uint64_t all = UINT64_MAX;
	uint64_t before;
	int error = errno;
	pid_t child;

	/* No handler of the program's may run in the child, on the program's memory. */
	sys_sigmask(SIG_SETMASK, &all, &before);
	child = clone(spawn_and_vanish, launch->stack + STACK_SIZE, CLONE_VM | CLONE_VFORK, launch);
	if (child > 0)
		sys_call(SYS_wait4, child, 0, __WCLONE, 0, 0, 0);
	else
		launch->result = errno;
	sys_sigmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return -launch->result;
}

/* Whatever the program made of its signals and descriptors must not reach the daemon. Its words
 * before it serves, and the byte that says it does, come by its standard error. */
static int prepare(struct launch *launch, int output)
{
	sigset_t none;
	sigset_t all;
	int result = REAL(posix_spawn_file_actions_init)(&launch->actions);

	if (result)
		return -result;
	result = posix_spawnattr_init(&launch->attributes);
	if (result) {
		REAL(posix_spawn_file_actions_destroy)(&launch->actions);
		return -result;
	}
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(&launch->attributes, &none);
	posix_spawnattr_setsigdefault(&launch->attributes, &all);
	posix_spawnattr_setflags(&launch->attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
	                         POSIX_SPAWN_SETSIGDEF);
	result = posix_spawn_file_actions_adddup2(&launch->actions, output, STDERR_FILENO);
	if (!result)
		result = REAL(posix_spawn_file_actions_addopen)(&launch->actions, STDIN_FILENO,
		                                                "/dev/null", O_RDONLY, 0);
	if (!result)
		result = REAL(posix_spawn_file_actions_addopen)(&launch->actions, STDOUT_FILENO,
		                                                "/dev/null", O_WRONLY, 0);
	if (!result)
		result = posix_spawn_file_actions_addclosefrom_np(&launch->actions,
		                                                  STDERR_FILENO + 1);
	if (!result)
		result = REAL(posix_spawn_file_actions_addchdir_np)(&launch->actions, "/");
	if (result) {
		REAL(posix_spawn_file_actions_destroy)(&launch->actions);
		posix_spawnattr_destroy(&launch->attributes);
	}
	return -result;
}

static int launch_daemon(struct launch *launch, const char *path, int output)
{
	static const char *const options[] = {
		"shmfs", "--no-mount", "--foreground", "--wait", START_IDLE_EXIT, "--ready-fd=2",
	};
	enum { OPTIONS = sizeof options / sizeof options[0] };
	int result;

	_Static_assert(OPTIONS + 2 <= ARGUMENTS_MAX, "the folder and the end fit too");
	for (int i = 0; i < OPTIONS; i++)
		launch->argv[i] = (char *)(uintptr_t)options[i];
	launch->argv[OPTIONS] = launch->folder.bytes;

	text_string(&launch->folder, "--dir=");
	text_string(&launch->folder, path);
	find_daemon(&boot_config()->library, launch->paths);
	result = launch->folder.cut ? -ENAMETOOLONG : prepare(launch, output);
	if (result < 0)
		return result;
	result = clone_and_spawn(launch);
	REAL(posix_spawn_file_actions_destroy)(&launch->actions);
	posix_spawnattr_destroy(&launch->attributes);
	return result;
}

static void *map_memory(size_t size)
{
	return sys_mmap(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static int launch_with_memory(const char *path, int output)
{
	size_t count = count_environment();
	size_t size = sizeof(struct launch) + (count + 1) * sizeof(char *);
	struct launch *launch = map_memory(size);
	char **env = (char **)(launch + 1);
	int result;

	if (sys_is_error(launch))
		return -ENOMEM;
	copy_environment(env, count);
	launch->env = env;
	result = launch_daemon(launch, path, output);
	sys_give(launch, size);
	return result;
}

/* The daemon says a byte 1 when it serves, or else why it can't. */
static int await_daemon(int output, struct text *ret_words)
{
	struct timespec patience = {.tv_sec = START_PATIENCE_SECONDS};
	struct pollfd ready = {.fd = output, .events = POLLIN};
	char words[256];
	ssize_t size;
	int result;

	do
		result = sys_poll(&ready, 1, &patience);
	while (result == -EINTR);
	if (result <= 0)
		return result ? result : -ETIMEDOUT;
	do
		size = sys_read(output, words, sizeof words);
	while (size == -EINTR);
	if (size > 0 && words[0] == 1)
		return 0;
	/* Its line, without the line's end. */
	if (size > 1) {
		text_string(ret_words, ": ");
		text_bytes(ret_words, words, (size_t)size - 1);
	}
	return -ENOSYS;
}

static int start(const char *path, struct text *ret_why)
{
	int ends[2];
	int result = (int)sys_call(SYS_pipe2, (long)ends, O_CLOEXEC, 0, 0, 0, 0);

	if (result < 0)
		return result;

	OWN_FD reading = ends[0];
	OWN_FD writing = ends[1];

	text_string(ret_why, "cannot start shmfs beside ");
	text_string(ret_why, boot_config()->library.bytes);
	result = launch_with_memory(path, writing);
	fd_close_at(&writing);
	if (result == 0)
		result = await_daemon(reading, ret_why);
	/* A daemon that is not there is a call that is not there. */
	return result == -ENOENT ? -ENOSYS : result;
}

/* With the folder open, its lock held, and nobody listening. */
static int start_locked(int folder, const char *path, uid_t uid, struct text *ret_why)
{
	/* Another may have started one while we waited for the lock. */
	int result = place_connect(folder, path, uid);

	if (result != -ENOENT && result != -ECONNREFUSED)
		return result;
	result = start(path, ret_why);
	return result < 0 ? result : place_connect(folder, path, uid);
}

int start_and_connect(const char *path, uid_t uid, struct text *ret_why)
{
	OWN_FD folder = place_make(path, uid);
	OWN_FD lock = -1;

	if (folder >= 0)
		lock = place_lock(folder, PLACE_START_LOCK, true);
	if (folder >= 0 && lock >= 0) {
		int result = start_locked(folder, path, uid, ret_why);

		/* Closing is not enough: a child that another thread forked meanwhile has it too.
		 */
		sys_flock(lock, LOCK_UN);
		return result;
	}
	text_string(ret_why, "cannot start a daemon in ");
	text_string(ret_why, path);
	return folder < 0 ? folder : lock;
}
