/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* execve and its kin. After vfork they run on the parent's memory, so what they need is on the
 * stack. */
#include "preload/exec.h"

#include <alloca.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "base/text.h"
#include "preload/export.h"
#include "preload/paths.h"
#include "preload/points.h"
#include "preload/real.h"
#include "preload/way.h"

extern char **environ;

enum { WORDS_ON_STACK = 512 };

static int execute(const char *path, char *const argv[], char *const envp[], char **room)
{
	struct exec_plan plan;
	int result = exec_plan(path, path, argv, envp, room, &plan);

	if (result < 0)
		return result;
	exec_keep(&plan);
	REAL(execve)(plan.path, plan.argv, envp);
	result = -errno;
	if (result == -ETXTBSY && plan.fd >= 0 && exec_copy(&plan) == 0) {
		exec_keep(&plan);
		REAL(execve)(plan.path, plan.argv, envp);
		result = -errno;
	}
	exec_deinit(&plan);
	return result;
}

/* As execvp does with what is no program and no script with "#!". */
static int execute_by_shell(const char *path, char *const argv[], char *const envp[], char **room)
{
	size_t count = exec_count(argv);

	room[0] = (char *)(uintptr_t)"/bin/sh";
	room[1] = (char *)(uintptr_t)path;
	if (count > 1)
		memcpy(room + 2, argv + 1, (count - 1) * sizeof *argv);
	room[count > 1 ? count + 1 : 2] = NULL;
	REAL(execve)(room[0], room, envp);
	return -errno;
}

static int execute_or_shell(const char *path, char *const argv[], char *const envp[], bool by_shell,
                            char **room)
{
	int result = execute(path, argv, envp, room);

	if (result == -ENOEXEC && by_shell)
		result = execute_by_shell(path, argv, envp, room);
	return result;
}

static int execute_ours(const char *call, const char *path, char *const argv[], char *const envp[],
                        bool by_shell)
{
	size_t words = exec_count(argv) + EXEC_SPARE + 1;
	char **room;
	int before = errno;
	int result;

	if (words <= WORDS_ON_STACK) {
		room = alloca(words * sizeof *room);
		result = execute_or_shell(path, argv, envp, by_shell, room);
	} else {
		room = sys_mmap(words * sizeof *room, PROT_READ | PROT_WRITE,
		                MAP_PRIVATE | MAP_ANONYMOUS, -1);
		if (sys_is_error(room))
			result = -ENOMEM;
		else
			result = execute_or_shell(path, argv, envp, by_shell, room);
		if (!sys_is_error(room))
			sys_give(room, words * sizeof *room);
	}
	errno = before;
	return export_named(call, path, result);
}

EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	points_tell();
	if (way_is_foreign(AT_FDCWD, path))
		return REAL(execve)(path, argv, envp);
	return execute_ours("execve", path, argv, envp, false);
}

static bool is_number(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits && (!text[digits] || strcmp(text + digits, " (deleted)") == 0);
}

/* Is this one of the daemon's files? They have no names but their numbers, and no place. */
static bool is_of_store(int fd)
{
	struct stat file, other;
	char path[64];
	ssize_t length = sys_call(SYS_readlinkat, AT_FDCWD, (long)way_fd_path(fd).bytes,
	                          (long)path, sizeof path - 1, 0, 0);

	if (length <= 0)
		return false;
	path[length] = '\0';
	if (strncmp(path, "/memfd:", 7) == 0)
		return is_number(path + 7);
	return is_number(path + 1) && sys_fstat(fd, &file) == 0 &&
	       (sys_fstatat(AT_FDCWD, path, &other, 0) < 0 ||
	        file.st_dev != other.st_dev || file.st_ino != other.st_ino);
}

/* After an attempt that failed: of a copy, where the daemon is in the way. */
static int execute_busy(int fd, char *const argv[], char *const envp[])
{
	struct exec_plan plan = {.fd = -1, .is_script = true, .is_held = true};
	struct way_fd_path path = way_fd_path(fd);

	if (errno != ETXTBSY || !is_of_store(fd))
		return -errno;
	memcpy(plan.path, path.bytes, sizeof path.bytes);
	if (exec_copy(&plan) < 0)
		return -ETXTBSY;
	exec_keep(&plan);
	REAL(execve)(plan.path, argv, envp);
	exec_deinit(&plan);
	return -errno;
}

EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	points_tell();
	REAL(fexecve)(fd, argv, envp);
	return export_result(execute_busy(fd, argv, envp));
}

static bool is_link(int dirfd, const char *path)
{
	struct stat status;

	return path_stat(dirfd, path, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISLNK(status.st_mode);
}

/* The kernel's own name for what a path from a folder leads to. */
static int execute_from(int dirfd, const char *path, char *const argv[], char *const envp[])
{
	struct text folder = TEXT_NULL;
	size_t size;
	char *whole;

	text_string(&folder, "/dev/fd/");
	text_number(&folder, dirfd);
	text_string(&folder, "/");
	size = folder.length + strnlen(path, PATH_MAX) + 1;
	if (size > PATH_MAX)
		return export_result(-ENAMETOOLONG);
	whole = alloca(size);
	memcpy(whole, folder.bytes, folder.length);
	memcpy(whole + folder.length, path, size - folder.length);
	return execute_ours("execveat", whole, argv, envp, false);
}

EXPORT int execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags)
{
	points_tell();
	if (way_is_foreign(dirfd, path) || (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))) {
		int result = REAL(execveat)(dirfd, path, argv, envp, flags);

		if (!*path && (flags & AT_EMPTY_PATH))
			return export_result(execute_busy(dirfd, argv, envp));
		return result;
	}
	if ((flags & AT_SYMLINK_NOFOLLOW) && is_link(dirfd, path))
		return export_named("execveat", path, -ELOOP);
	if (dirfd == AT_FDCWD || *path == '/')
		return execute_ours("execveat", path, argv, envp, false);
	return execute_from(dirfd, path, argv, envp);
}

EXPORT int execv(const char *path, char *const argv[])
{
	points_tell();
	if (way_is_foreign(AT_FDCWD, path))
		return REAL(execv)(path, argv);
	return execute_ours("execv", path, argv, environ, false);
}

static int execute_found(const char *call, const char *file, char *const argv[], char *const envp[])
{
	struct exec_found found;
	char *path;

	if (!exec_search(file, &found))
		return REAL(execvpe)(file, argv, envp);
	path = alloca(found.path_size);
	exec_path(&found, file, path);
	return execute_ours(call, path, argv, envp, true);
}

/* A file's name with a slash is a path, one without is looked for. */
static int execute_file(const char *call, const char *file, char *const argv[], char *const envp[])
{
	points_tell();
	if (strchr(file, '/') && !way_is_foreign(AT_FDCWD, file))
		return execute_ours(call, file, argv, envp, true);
	return execute_found(call, file, argv, envp);
}

EXPORT int execvp(const char *file, char *const argv[])
{
	return execute_file("execvp", file, argv, environ);
}

EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	return execute_file("execvpe", file, argv, envp);
}

static size_t count_words(const char *first, va_list *more)
{
	size_t count = 0;

	for (const char *word = first; word; word = va_arg(*more, const char *))
		count++;
	return count;
}

static void take_words(const char *first, va_list *more, char **ret_argv)
{
	for (const char *word = first; word; word = va_arg(*more, const char *))
		*ret_argv++ = (char *)(uintptr_t)word;
	*ret_argv = NULL;
}

/* Declares argv, of the words from arg on, up to and with a NULL; `rest` is behind that. */
#define TAKE_ARGV(argv, arg, rest) \
	va_list rest; \
	size_t argv##_count; \
	char **argv; \
\
	va_start(rest, arg); \
	argv##_count = count_words(arg, &rest); \
	va_end(rest); \
	argv = alloca((argv##_count + 1) * sizeof *argv); \
	va_start(rest, arg); \
	take_words(arg, &rest, argv)

EXPORT int execl(const char *path, const char *arg, ...)
{
	TAKE_ARGV(argv, arg, rest);
	va_end(rest);
	points_tell();
	if (way_is_foreign(AT_FDCWD, path))
		return REAL(execve)(path, argv, environ);
	return execute_ours("execl", path, argv, environ, false);
}

EXPORT int execle(const char *path, const char *arg, ...)
{
	char *const *envp;

	TAKE_ARGV(argv, arg, rest);
	envp = va_arg(rest, char *const *);
	va_end(rest);
	points_tell();
	if (way_is_foreign(AT_FDCWD, path))
		return REAL(execve)(path, argv, envp);
	return execute_ours("execle", path, argv, envp, false);
}

EXPORT int execlp(const char *file, const char *arg, ...)
{
	TAKE_ARGV(argv, arg, rest);
	va_end(rest);
	return execute_file("execlp", file, argv, environ);
}
