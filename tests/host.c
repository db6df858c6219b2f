/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/host.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/own.h"

void insist(bool done, const char *what)
{
	if (done)
		return;
	perror(what);
	_exit(EXIT_FAILURE);
}

static void write_file(const char *path, const char *text)
{
	OWN_FD file = open(path, O_WRONLY | O_CLOEXEC);

	insist(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text), path);
}

/* Mounts of one's own without being root: as root of a user namespace who is called what the user
 * is called outside. */
static void enter_user_namespace(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char map[64];

	insist(unshare(CLONE_NEWUSER) == 0, "user namespace");
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof map, "%u %u 1", uid, uid);
	write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof map, "%u %u 1", gid, gid);
	write_file("/proc/self/gid_map", map);
}

void become_user(uid_t uid)
{
	if (geteuid() == uid)
		return;
	insist(setgroups(0, NULL) == 0, "setgroups");
	insist(setresgid(uid, uid, uid) == 0, "setresgid");
	insist(setresuid(uid, uid, uid) == 0, "setresuid");
}

void own_mounts(void)
{
	insist(unshare(CLONE_NEWNS) == 0, "mount namespace");
	insist(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private mounts");
}

void enter_native(uid_t uid)
{
	if (geteuid() != 0)
		enter_user_namespace();
	own_mounts();
	insist(unshare(CLONE_NEWIPC) == 0, "IPC namespace");
	insist(mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=1g") == 0,
	       "a /dev/shm of its own");
	become_user(uid);
}
