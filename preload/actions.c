/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What posix_spawn's child is to do by path. It does that in libc, where nobody sees it: so a path
 * to the store is exchanged, when it is added, for one that leads to the thing for whoever takes
 * it, by a descriptor of ours, which is there until the actions are destroyed. A file that is to be
 * made is made when it is added. */
#include "preload/actions.h"

#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/own.h"
#include "base/text.h"
#include "preload/export.h"
#include "preload/paths.h"
#include "preload/real.h"
#include "preload/way.h"

enum { HELD_MAX = 64, FDS_ABOVE = 512 };

/* Lock-free: a place is its owner's, from when that is set. Programs close what they did not open,
 * so what is closed again must be the file that was put there. */
static struct {
	_Atomic(const void *) owner; /* the actions; NULL: free */
	_Atomic int fd;              /* + 1; 0: none yet */
	_Atomic bool is_folder;      /* that the child is in, at the end */
	dev_t device;
	ino_t inode;
} held[HELD_MAX];

static void release(int at)
{
	int fd = atomic_exchange(&held[at].fd, 0) - 1;
	struct stat status;

	if (fd >= 0 && sys_fstat(fd, &status) == 0 && status.st_dev == held[at].device &&
	    status.st_ino == held[at].inode)
		sys_close(fd);
	held[at].owner = NULL;
}

static void release_all(const posix_spawn_file_actions_t *actions)
{
	for (int i = 0; i < HELD_MAX; i++)
		if (held[i].owner == actions)
			release(i);
}

/* Takes `fd` over. Returns its number now, out of the way of what the child does, or -errno. */
static int hold(const posix_spawn_file_actions_t *actions, int fd)
{
	int high = sys_fcntl(fd, F_DUPFD_CLOEXEC, FDS_ABOVE);
	struct stat status = {0};

	if (high >= 0)
		sys_close(fd);
	else
		high = fd;
	sys_fstat(high, &status);
	for (int i = 0; i < HELD_MAX; i++) {
		const void *none = NULL;

		if (atomic_compare_exchange_strong(&held[i].owner, &none, actions)) {
			held[i].device = status.st_dev;
			held[i].inode = status.st_ino;
			held[i].is_folder = false;
			held[i].fd = high + 1;
			return high;
		}
	}
	sys_close(high);
	return -ENOMEM;
}

/* Where a path leads. */
struct found {
	char path[PATH_MAX];
	int fd; /* a stand-in, and then path says nothing; or -1. Owned, until it is held */
};

static long find_native(const struct errand *errand, int dirfd, const char *path, bool nofollow)
{
	struct found *found = errand->details;
	size_t length = strlen(path);

	if (length >= sizeof found->path)
		return -ENAMETOOLONG;
	memcpy(found->path, path, length + 1);
	return 0;
}

static long find_served(const struct errand *errand, struct way *way)
{
	struct found *found = errand->details;
	struct wire_stat status;
	long result = way_find(way, errand->nofollow, &status);

	if (result < 0)
		return result;
	if (S_ISLNK(status.mode))
		return -ELOOP;
	found->fd = fd_steal(&way->stand_in);
	return 0;
}

static int find(const char *path, bool nofollow, struct found *ret_found)
{
	const struct errand errand = {
		.natively = find_native,
		.served = find_served,
		.nofollow = nofollow,
		.details = ret_found,
	};

	ret_found->fd = -1;
	return (int)way_go(AT_FDCWD, path, &errand);
}

/* With the parent's number where the kernel lets a child look there: it closes its own. */
static void name_held(int fd, struct found *found)
{
	struct text path = TEXT_NULL;

	if (sys_call(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0, 0) == 1) {
		text_string(&path, "/proc/");
		text_number(&path, sys_getpid());
		text_string(&path, "/fd/");
		text_number(&path, fd);
		memcpy(found->path, path.bytes, path.length + 1);
	} else {
		struct way_fd_path own = way_fd_path(fd);

		memcpy(found->path, own.bytes, sizeof own.bytes);
	}
}

/* A path for the child in found->path. Returns 0 or -errno: then the path is to stay as it is, and
 * the child will fail. */
static int exchange(const posix_spawn_file_actions_t *actions, const char *path, bool nofollow,
                    struct found *ret_found)
{
	int result = find(path, nofollow, ret_found);

	if (result < 0 || ret_found->fd < 0)
		return result;
	result = hold(actions, ret_found->fd);
	ret_found->fd = result < 0 ? -1 : result;
	if (result < 0)
		return result;
	name_held(result, ret_found);
	return 0;
}

static int make(const char *path, int flags, mode_t mode)
{
	int file = path_open(AT_FDCWD, path, O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (file >= 0)
		sys_close(file);
	else if (file != -EEXIST || (flags & O_EXCL))
		return file;
	return 0;
}

EXPORT int posix_spawn_file_actions_addopen(posix_spawn_file_actions_t *actions, int fd,
                                            const char *path, int flags, mode_t mode)
{
	struct found found;
	int result = 0;

	if (way_is_foreign(AT_FDCWD, path))
		return REAL(posix_spawn_file_actions_addopen)(actions, fd, path, flags,
		                                                      mode);
	result = find(path, flags & O_NOFOLLOW, &found);
	if (found.fd < 0 && result == 0)
		return REAL(posix_spawn_file_actions_addopen)(actions, fd, found.path,
		                                                      flags, mode);
	fd_close_at(&found.fd);
	result = flags & O_CREAT ? make(path, flags, mode) : 0;
	if (result == 0 && exchange(actions, path, flags & O_NOFOLLOW, &found) == 0) {
		path = found.path;
		flags &= ~(O_CREAT | O_EXCL | O_NOFOLLOW);
	}
	return REAL(posix_spawn_file_actions_addopen)(actions, fd, path, flags, mode);
}

int actions_folder(const posix_spawn_file_actions_t *actions)
{
	for (int i = 0; actions && i < HELD_MAX; i++)
		if (held[i].owner == actions && held[i].is_folder)
			return held[i].fd - 1;
	return -1;
}

/* -1: to none of ours. */
static void note_folder(const posix_spawn_file_actions_t *actions, int fd)
{
	for (int i = 0; i < HELD_MAX; i++)
		if (held[i].owner == actions)
			held[i].is_folder = held[i].fd == fd + 1 && fd >= 0;
}

EXPORT int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions,
                                                const char *path)
{
	struct found found = {.fd = -1};

	if (!way_is_foreign(AT_FDCWD, path) && exchange(actions, path, false, &found) == 0)
		path = found.path;
	note_folder(actions, found.fd);
	return REAL(posix_spawn_file_actions_addchdir_np)(actions, path);
}

EXPORT int posix_spawn_file_actions_init(posix_spawn_file_actions_t *actions)
{
	release_all(actions);
	return REAL(posix_spawn_file_actions_init)(actions);
}

EXPORT int posix_spawn_file_actions_destroy(posix_spawn_file_actions_t *actions)
{
	release_all(actions);
	return REAL(posix_spawn_file_actions_destroy)(actions);
}
