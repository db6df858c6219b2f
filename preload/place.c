/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The working folder, and where paths really lead. A program is told of the store as /dev/shm, on
 * whatever road it is reached. */
#include "preload/place.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/own.h"
#include "base/text.h"
#include "preload/ask.h"
#include "preload/export.h"
#include "preload/heap.h"
#include "preload/paths.h"
#include "preload/real.h"
#include "preload/way.h"

extern char **environ;

enum { FUSE_MAGIC = 0x65735546 };

/* A path that is told: where the text goes to, and how much of it there may be. */
struct told {
	char *text;
	size_t room;   /* with the NUL */
	bool is_heap;  /* text was NULL, and is to be from the program's malloc */
	int too_small; /* -errno */
};

static int tell(struct told *told, const char *head, size_t head_length, const char *tail,
                size_t tail_length)
{
	size_t size = head_length + tail_length + 1;

	if (!told->room)
		told->room = size;
	if (size > told->room)
		return told->too_small;
	if (told->is_heap)
		told->text = heap_take(told->room);
	if (!told->text)
		return -ENOMEM;
	memmove(told->text + head_length, tail, tail_length);
	memcpy(told->text, head, head_length);
	told->text[size - 1] = '\0';
	return 0;
}

/* What the daemon said: a path from the root. */
static int tell_served(struct told *told, const char *text, size_t length)
{
	char head[PATH_MAX];
	size_t head_length = strlen(way_prefix());

	memcpy(head, way_prefix(), head_length);
	if (length)
		head[head_length++] = '/';
	return tell(told, head, head_length, text, length);
}

/* What the host said: below the mount (NULL: there is none) it is in the store. */
static int tell_native(struct told *told, const char *path, const char *mount)
{
	size_t length = mount ? strlen(mount) : 0;

	if (length && strncmp(path, mount, length) == 0 &&
	    (path[length] == '/' || !path[length]))
		return tell(told, way_prefix(), strlen(way_prefix()), path + length,
		            strlen(path + length));
	return tell(told, "", 0, path, strlen(path));
}

enum { MOUNT_UNKNOWN, MOUNT_NO, MOUNT_MAYBE };

/* May the working folder be on our mount? Once it may, that stays: asking costs little then. */
static _Atomic unsigned char on_mount;

/* Is this filesystem a shmfs? The lines of mountinfo begin with "ID PARENT MAJOR:MINOR ". */
static bool is_shmfs(dev_t device, const char *lines)
{
	struct text mark = TEXT_NULL;

	text_string(&mark, " 0:");
	text_number(&mark, minor(device));
	text_string(&mark, " ");
	for (const char *line = lines; line; line = strchr(line, '\n')) {
		const char *end = strchrnul(++line, '\n');
		const char *number = memmem(line, (size_t)(end - line), mark.bytes, mark.length);
		const char *type = memmem(line, (size_t)(end - line), " - fuse.shmfs ", 14);

		if (number && type && number < type)
			return true;
	}
	return false;
}

static bool read_mounts(struct pages *lines)
{
	OWN_FD file = sys_openat(AT_FDCWD, "/proc/self/mountinfo", O_RDONLY | O_CLOEXEC, 0);
	size_t length = 1;
	ssize_t size;

	do {
		/* With a line's end before, and a NUL behind. */
		if (file < 0 || pages_grow(lines, length + PATH_MAX) < 0)
			return false;
		size = sys_read(file, (char *)lines->memory + length, PATH_MAX - 1);
		length += size > 0 ? (size_t)size : 0;
	} while (size > 0 || size == -EINTR);
	*(char *)lines->memory = '\n';
	return size == 0;
}

static void look_for_mount(void)
{
	struct pages lines = {0};
	struct statfs system;
	struct stat status;
	bool found;

	/* Whatever is on a disk is none. */
	found = sys_fstatat(AT_FDCWD, ".", &status, 0) == 0 &&
	        major(status.st_dev) == 0 && sys_statfs(".", &system) == 0 &&
	        system.f_type == FUSE_MAGIC && read_mounts(&lines) &&
	        is_shmfs(status.st_dev, lines.memory);
	pages_deinit(&lines);
	on_mount = found ? MOUNT_MAYBE : MOUNT_NO;
}

static bool may_be_on_mount(void)
{
	if (on_mount == MOUNT_UNKNOWN)
		look_for_mount();
	return on_mount == MOUNT_MAYBE;
}

/* Is what the kernel says of the working folder not what is to be told? */
static bool is_in_store(void)
{
	return !way_is_foreign(AT_FDCWD, ".") || may_be_on_mount();
}

static long chdir_natively(const struct errand *errand, int dirfd, const char *path, bool nofollow)
{
	long result = way_result(REAL(chdir)(path));

	if (result == 0 && path != errand->details && way_mount() &&
	    strncmp(path, way_mount(), strlen(way_mount())) == 0)
		on_mount = MOUNT_MAYBE;
	return result;
}

int place_enter(const char *path)
{
	const struct errand errand = {
		.natively = chdir_natively,
		.details = (void *)(uintptr_t)path,
	};
	int result = (int)way_go(AT_FDCWD, path, &errand);

	if (result == 0)
		way_moved();
	return result;
}

/* By a descriptor one gets on the mount unseen. */
static void moved_by_descriptor(void)
{
	way_moved();
	if (on_mount == MOUNT_NO)
		look_for_mount();
}

int place_enter_fd(int fd)
{
	int result = (int)sys_call(SYS_fchdir, fd, 0, 0, 0, 0, 0);

	if (result == 0)
		moved_by_descriptor();
	return result;
}

EXPORT int chdir(const char *path)
{
	int result;

	if (!way_is_foreign(AT_FDCWD, path))
		return export_named("chdir", path, place_enter(path));
	may_be_on_mount();
	result = REAL(chdir)(path);
	if (result == 0)
		way_moved();
	return result;
}

EXPORT int fchdir(int fd)
{
	int result;

	may_be_on_mount();
	result = REAL(fchdir)(fd);
	if (result == 0)
		moved_by_descriptor();
	return result;
}

/* The path of a folder that is known by having it. */
static int tell_base(const struct wire_base *base, struct told *told)
{
	struct wire_request request = wire_request_make(WIRE_PATH_OF);
	struct client_places places = {.places.base[0] = *base};
	struct client_answer answer = {.text_room = WIRE_TEXT_MAX + 1};
	struct pages pages = {0};
	int result = pages_grow(&pages, answer.text_room);

	if (result < 0)
		return result;
	answer.text = pages.memory;
	result = ask_places(&request, &places, &answer);
	if (result == 0)
		result = tell_served(told, answer.text, answer.told.text_length);
	pages_deinit(&pages);
	return result;
}

static int tell_working_folder(struct told *told)
{
	struct wire_base base;
	char path[PATH_MAX];
	long result;

	if (way_base_of(AT_FDCWD, &base))
		return tell_base(&base, told);
	result = sys_call(SYS_getcwd, (long)path, sizeof path, 0, 0, 0, 0);
	if (result < 0)
		return (int)result;
	return tell_native(told, path, way_mount());
}

static char *getcwd_ours(const char *call, char *buf, size_t size)
{
	struct told told = {
		.text = buf,
		.room = size,
		.is_heap = !buf,
		.too_small = -ERANGE,
	};
	int result = buf && !size ? -EINVAL : tell_working_folder(&told);

	return export_named(call, result < 0 ? "" : told.text, result) < 0 ? NULL : told.text;
}

EXPORT char *getcwd(char *buf, size_t size)
{
	if (!is_in_store())
		return REAL(getcwd)(buf, size);
	return getcwd_ours("getcwd", buf, size);
}

EXPORT char *__getcwd_chk(char *buf, size_t size, size_t buflen);
EXPORT char *__getcwd_chk(char *buf, size_t size, size_t buflen)
{
	/* A buffer that is smaller than was said ends the program. */
	if (!is_in_store() || size > buflen)
		return REAL(__getcwd_chk)(buf, size, buflen);
	return getcwd_ours("getcwd", buf, size);
}

EXPORT char *getwd(char *buf)
{
	if (!is_in_store())
		return REAL(getwd)(buf);
	return getcwd_ours("getwd", buf, PATH_MAX);
}

EXPORT char *__getwd_chk(char *buf, size_t buflen);
EXPORT char *__getwd_chk(char *buf, size_t buflen)
{
	if (!is_in_store() || buflen < PATH_MAX)
		return REAL(__getwd_chk)(buf, buflen);
	return getcwd_ours("getwd", buf, PATH_MAX);
}

static const char *pwd_of_environment(void)
{
	for (char **at = environ; at && *at; at++)
		if (strncmp(*at, "PWD=", 4) == 0)
			return *at + 4;
	return NULL;
}

EXPORT char *get_current_dir_name(void)
{
	const char *pwd = pwd_of_environment();
	struct stat named, present;

	if (!is_in_store())
		return REAL(get_current_dir_name)();
	if (pwd && path_stat(AT_FDCWD, ".", &present, 0) == 0 &&
	    path_stat(AT_FDCWD, pwd, &named, 0) == 0 && present.st_dev == named.st_dev &&
	    present.st_ino == named.st_ino)
		return heap_copy(pwd, strlen(pwd));
	return getcwd_ours("get_current_dir_name", NULL, 0);
}

static long realpath_natively(const struct errand *errand, int dirfd, const char *path,
                              bool nofollow)
{
	char text[PATH_MAX];

	if (!REAL(realpath)(path, text))
		return -errno;
	return tell_native(errand->details, text, way_mount());
}

static long realpath_served(const struct errand *errand, struct way *way)
{
	struct wire_request request = wire_request_make(WIRE_PATH_OF);
	struct client_answer answer;
	long result;

	request.flags = WIRE_FOLLOW;
	result = way_ask(way, &request, &answer);
	if (result < 0)
		return result;
	return tell_served(errand->details, way->text, answer.told.text_length);
}

static char *realpath_ours(const char *call, const char *name, char *resolved)
{
	struct told told = {
		.text = resolved,
		.room = resolved ? PATH_MAX : 0,
		.is_heap = !resolved,
		.too_small = -ENAMETOOLONG,
	};
	const struct errand errand = {
		.natively = realpath_natively,
		.served = realpath_served,
		.details = &told,
	};
	long result = way_go(AT_FDCWD, name, &errand);

	return export_named(call, name, result) < 0 ? NULL : told.text;
}

/* A relative path may lead below the mount. */
static bool is_foreign(const char *name)
{
	return way_is_foreign(AT_FDCWD, name) &&
	       (!name || !*name || *name == '/' || !may_be_on_mount());
}

EXPORT char *realpath(const char *name, char *resolved)
{
	if (is_foreign(name))
		return REAL(realpath)(name, resolved);
	return realpath_ours("realpath", name, resolved);
}

EXPORT char *__realpath_chk(const char *name, char *resolved, size_t resolvedlen);
EXPORT char *__realpath_chk(const char *name, char *resolved, size_t resolvedlen)
{
	if (is_foreign(name) || resolvedlen < PATH_MAX)
		return REAL(__realpath_chk)(name, resolved, resolvedlen);
	return realpath_ours("realpath", name, resolved);
}

EXPORT char *canonicalize_file_name(const char *name)
{
	if (is_foreign(name))
		return REAL(canonicalize_file_name)(name);
	return realpath_ours("canonicalize_file_name", name, NULL);
}
