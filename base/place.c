/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Trust between the two ends rests on the folder: only its owner can put a socket into it, so a
 * socket found in a folder of root's or of one's own is root's or one's own. The folder is opened
 * once, without following a link, judged by that descriptor, and all that follows goes through
 * it, so that swapping the path afterwards gains nothing. The listener's own credentials
 * (SO_PEERCRED) are asked for besides. */
#include "base/place.h"

#include <linux/un.h>
#include <string.h>
#include <sys/file.h>
#include <sys/time.h>

#include "base/own.h"

/* A root that this user namespace has no number for shows up as this. */
enum { OVERFLOW_UID = 65534 };

static struct text join(const char *folder, const char *name)
{
	struct text path = TEXT_NULL;

	text_string(&path, folder);
	text_string(&path, "/");
	text_string(&path, name);
	return path;
}

static struct text user_folder(const struct place_hints *hints, uid_t uid)
{
	struct text path;

	if (hints->xdg_runtime_dir && hints->xdg_runtime_dir[0] == '/')
		return join(hints->xdg_runtime_dir, "shmemu");
	path = join(hints->tmpdir && hints->tmpdir[0] == '/' ? hints->tmpdir : "/tmp", "shmemu-");
	text_number(&path, uid);
	return path;
}

size_t place_candidates(const struct place_hints *hints, uid_t uid,
                        struct text ret_paths[static PLACE_CANDIDATES_MAX])
{
	if (hints->shmemu_dir && hints->shmemu_dir[0]) {
		ret_paths[0] = TEXT_NULL;
		text_string(&ret_paths[0], hints->shmemu_dir);
		return 1;
	}
	ret_paths[0] = TEXT_NULL;
	text_string(&ret_paths[0], PLACE_SYSTEM);
	ret_paths[1] = user_folder(hints, uid);
	return 2;
}

static bool is_trusted(const char *path, uid_t owner, uid_t uid)
{
	if (owner == 0 || owner == uid)
		return true;
	/* In a user namespace root has no number of its own. Only root can have made /run/shmemu.
	 */
	return owner == OVERFLOW_UID && strcmp(path, PLACE_SYSTEM) == 0;
}

int place_open(const char *path, uid_t uid)
{
	OWN_FD folder =
		sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	struct stat status;
	int result;

	if (folder == -ENOTDIR || folder == -ELOOP)
		return -EACCES;
	if (folder < 0)
		return folder;
	result = sys_fstat(folder, &status);
	if (result < 0)
		return result;
	if (!is_trusted(path, status.st_uid, uid) || (status.st_mode & (S_IWGRP | S_IWOTH)))
		return -EACCES;
	return fd_steal(&folder);
}

static struct text opened(int folder)
{
	struct text path = TEXT_NULL;

	text_string(&path, "/proc/self/fd/");
	text_number(&path, folder);
	return path;
}

struct text place_at(int folder, const char *name)
{
	struct text path = opened(folder);

	text_string(&path, "/");
	text_string(&path, name);
	return path;
}

int place_make(const char *path, uid_t uid)
{
	int made = sys_mkdirat(AT_FDCWD, path, 0700);
	int folder;

	if (made < 0 && made != -EEXIST)
		return made;
	folder = place_open(path, uid);
	if (made == 0 && folder >= 0) {
		/* The umask may have taken the owner's own rights away. By descriptor: the path
		 * may be another's by now. */
		sys_fchmodat(AT_FDCWD, opened(folder).bytes, 0700);
	}
	return folder;
}


static int connect_path(int sock, const struct text *path)
{
	static const struct timeval patience = {.tv_sec = PLACE_PATIENCE_SECONDS};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int result;

	if (path->length >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path->bytes, path->length + 1);
	/* A daemon that hangs takes no connections, and once its queue is full connect(2) waits
	 * too. */
	sys_setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	do
		result = sys_connect(sock, &address, sizeof address);
	while (result == -EINTR);
	return result == -EAGAIN ? -ETIMEDOUT : result;
}

static int check_listener(int sock, const char *path, uid_t uid)
{
	struct ucred listener;
	socklen_t size = sizeof listener;
	int result = sys_getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &listener, &size);

	if (result < 0)
		return result;
	return is_trusted(path, listener.uid, uid) ? 0 : -EACCES;
}

int place_connect(int folder, const char *path, uid_t uid)
{
	OWN_FD sock = sys_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct text by_folder = place_at(folder, PLACE_SOCKET);
	int result;

	if (sock < 0)
		return sock;
	result = connect_path(sock, &by_folder);
	if (result == 0)
		result = check_listener(sock, path, uid);
	return result < 0 ? result : fd_steal(&sock);
}

int place_lock(int folder, const char *name, bool wait)
{
	OWN_FD lock = sys_openat(folder, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int result;

	if (lock < 0)
		return lock;
	/* As above; only its owner can, and need. */
	sys_fchmod(lock, 0600);
	do
		result = sys_flock(lock, LOCK_EX | (wait ? 0 : LOCK_NB));
	while (result == -EINTR);
	return result < 0 ? result : fd_steal(&lock);
}
