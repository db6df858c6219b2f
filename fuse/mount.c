/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

uint64_t mount_at(const char *path)
{
	struct statx status;

	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_MNT_ID, &status) < 0)
		return 0;
	return status.stx_mask & STATX_MNT_ID ? status.stx_mnt_id : 0;
}

uint32_t mount_device(const char *path)
{
	struct statx status;

	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, 0, &status) < 0)
		return 0;
	return (uint32_t)makedev(status.stx_dev_major, status.stx_dev_minor);
}

static bool is_dead(const char *path)
{
	struct stat status;

	return stat(path, &status) < 0 && errno == ENOTCONN;
}

/* An ordinary user mounts, and unmounts, by way of this program. */
static void remove_as_user(const char *path)
{
	const char *const words[] = {"fusermount3", "-u", "-q", "-z", "--", path, NULL};
	pid_t child;

	if (posix_spawnp(&child, words[0], NULL, NULL, (char *const *)(uintptr_t)words,
	                 environ) == 0)
		waitpid(child, NULL, 0);
}

void mount_remove(const char *path, uint64_t id)
{
	if (id ? mount_at(path) != id : !is_dead(path))
		return;
	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno == EPERM)
		remove_as_user(path);
}
