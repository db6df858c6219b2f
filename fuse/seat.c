/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/seat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/own.h"
#include "base/place.h"
#include "fuse/extent.h"

static int open_folder(const char *path)
{
	mode_t mode = geteuid() == 0 ? 0755 : 0700;

	/* mkdir's mode is under the umask; a folder that was there keeps its own. */
	if (mkdir(path, mode) == 0 && chmod(path, mode) < 0)
		return -errno;
	return place_open(path, geteuid());
}

static int write_pid(int lock)
{
	char text[16];
	int length = snprintf(text, sizeof text, "%d\n", (int)getpid());

	int result = extent_set_size(lock, 0);

	if (result == 0 && pwrite(lock, text, (size_t)length, 0) < 0)
		result = -errno;
	return result;
}

int seat_take(struct seat *seat, const char *path)
{
	OWN_FD folder = open_folder(path);
	OWN_FD lock = -1;
	int result;

	if (folder < 0)
		return folder;
	lock = place_lock(folder, PLACE_DAEMON_LOCK, false);
	if (lock < 0)
		return lock == -EAGAIN ? -EADDRINUSE : lock;
	result = write_pid(lock);
	if (result < 0)
		return result;
	*seat = (struct seat){.folder = fd_steal(&folder), .lock = fd_steal(&lock)};
	return 0;
}

int seat_listen(int folder)
{
	OWN_FD sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct text path = place_at(folder, PLACE_SOCKET);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	mode_t umask_before;
	int on = 1;
	int result;

	if (sock < 0)
		return -errno;
	memcpy(address.sun_path, path.bytes, path.length + 1);
	/* With the lock held, a socket found here is a dead daemon's. */
	unlinkat(folder, PLACE_SOCKET, 0);
	/* Who may connect is the folder's mode to say. */
	umask_before = umask(0);
	result = bind(sock, (struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
	umask(umask_before);
	if (result < 0)
		return result;
	if (setsockopt(sock, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0 ||
	    listen(sock, SOMAXCONN) < 0)
		return -errno;
	return fd_steal(&sock);
}

int seat_borrow(struct seat *seat, int sock)
{
	/* A path may fill it and have no end of its own. */
	union {
		struct sockaddr_un address;
		char bytes[sizeof(struct sockaddr_un) + 1];
	} bound = {.bytes = ""};
	socklen_t size = sizeof bound.address;
	struct stat theirs, ours;

	if (getsockname(sock, (struct sockaddr *)&bound.address, &size) < 0)
		return -errno;
	if (stat(bound.address.sun_path, &theirs) < 0 ||
	    fstatat(seat->folder, PLACE_SOCKET, &ours, AT_SYMLINK_NOFOLLOW) < 0 ||
	    theirs.st_dev != ours.st_dev || theirs.st_ino != ours.st_ino)
		return -EADDRNOTAVAIL;
	seat->is_lent = true;
	return 0;
}

void seat_hide(const struct seat *seat)
{
	if (!seat->is_lent)
		unlinkat(seat->folder, PLACE_SOCKET, 0);
}

void seat_leave(struct seat *seat)
{
	fd_close_at(&seat->folder);
	fd_close_at(&seat->lock);
}
