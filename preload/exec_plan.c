/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an execve of a file in the store comes to. A program is executed by a descriptor of it; or,
 * as the daemon may have it open for writing, and the kernel executes nothing that somebody has, of
 * a copy. So is a script whose interpreter will not have this library; with it the interpreter is
 * executed as the kernel would, and opens the script by its own path. */
#include <string.h>

#include "base/own.h"
#include "preload/boot.h"
#include "preload/exec.h"
#include "preload/paths.h"
#include "preload/way.h"

extern char **environ;

size_t exec_count(char *const argv[])
{
	size_t count = 0;

	while (argv && argv[count])
		count++;
	return count;
}

void exec_deinit(struct exec_plan *plan)
{
	fd_close_at(&plan->fd);
}

void exec_keep(const struct exec_plan *plan)
{
	if (plan->fd >= 0 && plan->is_script)
		sys_fcntl(plan->fd, F_SETFD, 0);
}

static int set_path(struct exec_plan *plan, const char *path)
{
	size_t length = strlen(path);

	if (length >= sizeof plan->path)
		return -ENAMETOOLONG;
	memcpy(plan->path, path, length + 1);
	return 0;
}

static long find_native(const struct errand *errand, int dirfd, const char *path, bool nofollow)
{
	return set_path(errand->details, path);
}

static long find_served(const struct errand *errand, struct way *way)
{
	struct wire_request request = wire_request_make(WIRE_LOOKUP);
	struct exec_plan *plan = errand->details;
	struct client_answer answer;
	long result;

	request.flags = WIRE_FOLLOW | WIRE_WANT_FILE | WIRE_TO_EXECUTE;
	result = way_ask(way, &request, &answer);
	if (result < 0)
		return result;
	if (!S_ISREG(answer.told.stat.mode)) {
		sys_close(answer.fd);
		return -EACCES;
	}
	plan->fd = answer.fd;
	plan->is_held = answer.told.which;
	return 0;
}

/* Where the path leads, and no further. */
static int find(const char *path, struct exec_plan *plan)
{
	const struct errand errand = {
		.natively = find_native,
		.served = find_served,
		.details = plan,
	};
	int result;

	exec_deinit(plan);
	if (way_is_foreign(AT_FDCWD, path))
		return set_path(plan, path);
	result = (int)way_go(AT_FDCWD, path, &errand);
	if (result == 0 && plan->fd >= 0)
		set_path(plan, way_fd_path(plan->fd).bytes);
	return result;
}

/* The file's first bytes, if they are a script's. What can't be read is none. */
static bool read_line(const struct exec_plan *plan, char ret_line[static EXEC_LINE])
{
	struct stat status;
	OWN_FD file = -1;
	ssize_t size;

	/* Opening a fifo would be noticed. */
	if (sys_fstatat(AT_FDCWD, plan->path, &status, 0) < 0 || !S_ISREG(status.st_mode))
		return false;
	file = sys_openat(AT_FDCWD, plan->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
	size = file < 0 ? file : sys_read(file, ret_line, EXEC_LINE - 1);
	if (size < 2 || memcmp(ret_line, "#!", 2) != 0)
		return false;
	ret_line[size] = '\0';
	return true;
}

/* As the kernel reads it: one word, and the rest of the line as one more. Returns 0, or -ENOEXEC.
 */
static int parse_line(char *line, char **ret_interpreter, char **ret_argument)
{
	bool is_whole = strlen(line) < EXEC_LINE - 1 || strchr(line, '\n');
	char *word = line + 2 + strspn(line + 2, " \t");
	char *end = word + strcspn(word, "\n");
	char *word_end;

	while (end > word && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (end == word)
		return -ENOEXEC;
	*end = '\0';
	word_end = word + strcspn(word, " \t");
	if (!*word_end && !is_whole)
		return -ENOEXEC;
	*ret_interpreter = word;
	*ret_argument = NULL;
	if (*word_end) {
		*word_end++ = '\0';
		*ret_argument = word_end + strspn(word_end, " \t");
	}
	return 0;
}

/* Will what is executed with this environment have this library? */
static bool has_library(char *const envp[])
{
	const char *path = boot_config()->library.bytes;
	const char *slash = strrchr(path, '/');
	static const char name[] = "LD_PRELOAD=";

	if (!*path)
		return false;
	for (char *const *at = envp; at && *at; at++)
		if (strncmp(*at, name, sizeof name - 1) == 0)
			return strstr(*at, slash ? slash + 1 : path);
	return false;
}

int exec_check(const struct exec_plan *plan)
{
	enum { FACCESSAT2 = 439 };
	int result = (int)sys_call(FACCESSAT2, AT_FDCWD, (long)plan->path, X_OK, AT_EACCESS, 0, 0);

	/* By the real ids, before Linux 5.8. */
	if (result == -ENOSYS)
		result = (int)sys_call(SYS_faccessat, AT_FDCWD, (long)plan->path, X_OK, 0, 0, 0);
	return result;
}

/* INTERPRETER [ARGUMENT] PATH, in the place of the first word. */
static void put_before(struct exec_plan *plan, char *interpreter, char *argument, const char *path)
{
	if (!*plan->argv)
		plan->argv--;
	*plan->argv = (char *)(uintptr_t)path;
	if (argument)
		*--plan->argv = argument;
	*--plan->argv = interpreter;
}

int exec_plan(const char *path, const char *name, char *const argv[], char *const envp[],
              char **argv_room, struct exec_plan *ret_plan)
{
	size_t count = exec_count(argv);
	struct exec_plan *plan = ret_plan;
	char *interpreter = NULL;
	char *argument = NULL;
	int result;

	plan->fd = -1;
	plan->is_script = false;
	plan->is_held = false;
	plan->argv = argv_room + EXEC_SPARE;
	if (count)
		memcpy(plan->argv, argv, count * sizeof *argv);
	plan->argv[count] = NULL;
	for (int depth = 0; depth < EXEC_SCRIPTS_MAX; depth++) {
		result = find(path, plan);
		/* A path that stayed as it is leads to the host's files. */
		if (result < 0 || strcmp(path, plan->path) == 0)
			return result;
		plan->is_script = read_line(plan, plan->lines[depth]);
		if (!plan->is_script || !has_library(envp))
			return 0;
		result = exec_check(plan);
		if (result == 0)
			result = parse_line(plan->lines[depth], &interpreter, &argument);
		if (result < 0) {
			exec_deinit(plan);
			return result;
		}
		put_before(plan, interpreter, argument, name);
		path = name = interpreter;
	}
	exec_deinit(plan);
	return -ELOOP;
}

/* The daemon has files without a name. It does not keep them open, but has closed this one for
 * certain only when it answers the next request. */
static int make_nameless(void)
{
	int file = path_open(AT_FDCWD, "/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0700);

	if (file >= 0)
		path_access(AT_FDCWD, "/dev/shm", F_OK, 0);
	return file;
}

/* MFD_EXEC says, from Linux 6.3 on, that it is meant. */
static int make_copy(void)
{
	static const char name[] = "shmemu-program";
	enum { CLOEXEC = 1, EXECUTABLE = 0x10 };
	int copy = (int)sys_call(SYS_memfd_create, (long)name, CLOEXEC | EXECUTABLE, 0, 0, 0, 0);

	if (copy == -EINVAL)
		copy = (int)sys_call(SYS_memfd_create, (long)name, CLOEXEC, 0, 0, 0, 0);
	if (copy < 0 && copy != -EMFILE && copy != -ENFILE)
		copy = make_nameless();
	return copy;
}

/* No memory is written: it may be the parent's. */
static int copy_all(int from, int to)
{
	enum { PART = 1 << 30 };
	ssize_t size;

	do
		size = sys_sendfile(to, from, PART);
	while (size > 0 || size == -EINTR);
	return (int)size;
}

int exec_copy(struct exec_plan *plan)
{
	OWN_FD from = plan->is_held ? sys_openat(AT_FDCWD, plan->path, O_RDONLY | O_CLOEXEC, 0) :
	                              -ETXTBSY;
	OWN_FD copy = from < 0 ? -1 : make_copy();
	OWN_FD reading = -1;
	int result = from < 0 ? from : copy < 0 ? copy : copy_all(from, copy);

	if (result < 0)
		return result;
	/* Then nobody has it open for writing. */
	reading = sys_openat(AT_FDCWD, way_fd_path(copy).bytes, O_RDONLY | O_CLOEXEC, 0);
	if (reading < 0)
		return reading;
	exec_deinit(plan);
	plan->fd = fd_steal(&reading);
	set_path(plan, way_fd_path(plan->fd).bytes);
	return 0;
}

static const char *path_of_environment(void)
{
	for (char **at = environ; at && *at; at++)
		if (strncmp(*at, "PATH=", 5) == 0)
			return *at + 5;
	return NULL;
}

/* FOLDER/FILE; an empty FOLDER is the working folder. */
void exec_path(const struct exec_found *found, const char *file, char *ret_path)
{
	size_t length = found->length;

	memcpy(ret_path, found->folder, length);
	if (length)
		ret_path[length++] = '/';
	memcpy(ret_path + length, file, strlen(file) + 1);
}

/* 1: it may be executed; 0: it is not there; or -EACCES. */
static int judge(const char *path)
{
	struct stat status;
	int result = path_stat(AT_FDCWD, path, &status, 0);

	if (result < 0)
		return result == -EACCES ? result : 0;
	return S_ISREG(status.st_mode) && path_access(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ?
	       1 : -EACCES;
}

/* Each folder of PATH: false at the end. */
static bool next_folder(const char **path, const char *file, struct exec_found *ret_found)
{
	if (!*path)
		return false;
	ret_found->folder = *path;
	ret_found->length = strcspn(*path, ":");
	ret_found->path_size = ret_found->length + (ret_found->length > 0) + strlen(file) + 1;
	*path = (*path)[ret_found->length] ? *path + ret_found->length + 1 : NULL;
	return true;
}

static bool leads_here(const char *path, const char *file)
{
	struct exec_found found;
	char room[PATH_MAX];

	while (next_folder(&path, file, &found)) {
		if (found.path_size > sizeof room)
			continue;
		exec_path(&found, file, room);
		if (!way_is_foreign(AT_FDCWD, room))
			return true;
	}
	return false;
}

enum { FOUND_NOTHING, FOUND_OURS, FOUND_FOREIGN };

static int search(const char *path, const char *file, int wanted, struct exec_found *ret_found)
{
	char room[PATH_MAX];

	while (next_folder(&path, file, ret_found)) {
		if (ret_found->path_size > sizeof room)
			continue;
		exec_path(ret_found, file, room);
		if (judge(room) == wanted)
			return way_is_foreign(AT_FDCWD, room) ? FOUND_FOREIGN : FOUND_OURS;
	}
	return FOUND_NOTHING;
}

bool exec_search(const char *file, struct exec_found *ret_found)
{
	const char *path = path_of_environment();
	int result;

	if (!*file || strchr(file, '/') || !leads_here(path, file))
		return false;
	result = search(path, file, 1, ret_found);
	/* What may not be executed is what a search that finds nothing else tells of. */
	if (result == FOUND_NOTHING)
		result = search(path, file, -EACCES, ret_found);
	return result == FOUND_OURS;
}
