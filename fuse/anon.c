/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tmpfs of our own is the best source: its files have names there, so that st_nlink tells
 * whether a segment still has its name, opening one again needs no /proc, and large ones get huge
 * pages. Mounting needs CAP_SYS_ADMIN; a user without it borrows it from a user namespace, in a
 * child that hands the mount over as a descriptor and is gone. */
#include "fuse/anon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "base/own.h"

enum { OTHER_ID = 1 };

static const char *const kind_names[ANON_KIND_COUNT] = {
	[ANON_AUTO] = "auto",
	[ANON_TMPFS] = "tmpfs",
	[ANON_MEMFD] = "memfd",
	[ANON_TMPDIR] = "tmpdir",
};

const char *anon_kind_name(enum anon_kind kind)
{
	return kind_names[kind];
}

int anon_kind_parse(const char *name, enum anon_kind *ret_kind)
{
	for (int kind = 0; kind < ANON_KIND_COUNT; kind++) {
		if (strcmp(name, kind_names[kind]) == 0) {
			*ret_kind = (enum anon_kind)kind;
			return 0;
		}
	}
	return -EINVAL;
}

static int configure(int context, const char *key, const char *value)
{
	return fsconfig(context, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno : 0;
}

/* A tmpfs mounted nowhere. The store's own limits hold, so it has none. */
static int tmpfs_mount(void)
{
	OWN_FD context = fsopen("tmpfs", FSOPEN_CLOEXEC);
	int mount;

	if (context < 0)
		return -errno;
	if (configure(context, "size", "0") < 0 || configure(context, "nr_inodes", "0") < 0 ||
	    configure(context, "mode", "0700") < 0)
		return -EOPNOTSUPP;
	/* A kernel without huge pages for tmpfs refuses this one: then without. */
	configure(context, "huge", "within_size");
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	mount = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	return mount < 0 ? -errno : mount;
}

static int write_text(const char *path, const char *text)
{
	OWN_FD file = open(path, O_WRONLY | O_CLOEXEC);

	if (file < 0 || write(file, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

/* We keep our own numbers: files then belong to the user inside and outside. */
static int map_own_ids(uid_t uid, gid_t gid)
{
	char uids[64];
	char gids[64];
	int result;

	snprintf(uids, sizeof uids, "%u %u 1", uid, uid);
	snprintf(gids, sizeof gids, "%u %u 1", gid, gid);
	result = write_text("/proc/self/setgroups", "deny");
	if (result == 0)
		result = write_text("/proc/self/uid_map", uids);
	return result < 0 ? result : write_text("/proc/self/gid_map", gids);
}

static _Noreturn void mount_in_namespace(int sock)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	struct iovec part;
	int result;
	int mount = -1;

	result = unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ? -errno : map_own_ids(uid, gid);
	if (result == 0)
		mount = tmpfs_mount();
	if (mount < 0)
		result = result < 0 ? result : mount;
	part = (struct iovec){&result, sizeof result};
	_exit(fdpass_send(sock, &part, 1, mount, NULL, 0) < 0);
}

static int tmpfs_mount_borrowed(void)
{
	int pair[2];
	int mount = -1;
	int result = 0;
	struct iovec part = {&result, sizeof result};
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;

	OWN_FD mine = pair[0];
	OWN_FD theirs = pair[1];

	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0)
		mount_in_namespace(theirs);
	fd_close_at(&theirs);
	if (fdpass_receive(mine, &part, 1, &mount, NULL, 0) != sizeof result)
		result = -EPERM;
	waitpid(child, NULL, 0);
	return mount < 0 && result == 0 ? -EPERM : (result < 0 ? result : mount);
}

/* Root can open whatever was given to others, unless it lacks the capability. */
static bool opens_by_name(struct anon *anon, int file)
{
	int again;

	if (anon->kind != ANON_TMPFS || fchmod(file, 0) < 0 || fchown(file, OTHER_ID, OTHER_ID) < 0)
		return false;
	again = anon_reopen(anon, 0, -1, O_RDWR);
	if (again >= 0)
		close(again);
	return again >= 0;
}

/* Mounting is one thing, whether files can be made and opened there another. */
static int folder_try(struct anon *anon, int folder)
{
	int file;

	anon->folder = folder;
	file = anon_create(anon, 0);
	if (file >= 0) {
		anon->by_name = opens_by_name(anon, file);
		anon_forget(anon, 0);
		close(file);
		return 0;
	}
	fd_close_at(&anon->folder);
	return file;
}

static int try_tmpfs(struct anon *anon)
{
	int folder = tmpfs_mount();

	if (folder < 0)
		folder = tmpfs_mount_borrowed();
	return folder < 0 ? folder : folder_try(anon, folder);
}

static int try_memfd(struct anon *anon)
{
	int file = anon_create(anon, 0);

	if (file < 0)
		return file;
	close(file);
	return 0;
}

static int try_tmpdir(struct anon *anon, const char *tmpdir)
{
	int folder = open(tmpdir ? tmpdir : "/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return folder < 0 ? -errno : folder_try(anon, folder);
}

static int try_kind(struct anon *anon, enum anon_kind kind, const char *tmpdir)
{
	*anon = (struct anon){.kind = kind, .folder = -1};
	if (kind == ANON_TMPFS)
		return try_tmpfs(anon);
	if (kind == ANON_MEMFD)
		return try_memfd(anon);
	return try_tmpdir(anon, tmpdir);
}

int anon_init(struct anon *anon, enum anon_kind wanted, const char *tmpdir)
{
	int result;

	if (wanted != ANON_AUTO)
		return try_kind(anon, wanted, tmpdir);
	result = try_kind(anon, ANON_TMPFS, tmpdir);
	return result < 0 ? try_kind(anon, ANON_MEMFD, tmpdir) : 0;
}

void anon_deinit(struct anon *anon)
{
	fd_close_at(&anon->folder);
}

static void ino_name(uint64_t ino, char ret_name[static 24])
{
	snprintf(ret_name, 24, "%llu", (unsigned long long)ino);
}

int anon_create(struct anon *anon, uint64_t ino)
{
	char name[24];
	int file;

	ino_name(ino, name);
	if (anon->kind == ANON_TMPFS)
		file = openat(anon->folder, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	else if (anon->kind == ANON_TMPDIR)
		file = openat(anon->folder, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	else
		file = memfd_create(name, MFD_CLOEXEC);
	if (file < 0)
		return -errno;
	/* A memfd is born 0777; the others are born under the umask. */
	if (fchmod(file, 0600) < 0) {
		int error = errno;

		close(file);
		return -error;
	}
	return file;
}

int anon_reopen(const struct anon *anon, uint64_t ino, int fd, int flags)
{
	char path[64];
	int file;

	flags |= O_CLOEXEC;
	if (anon->kind == ANON_TMPFS) {
		ino_name(ino, path);
		file = openat(anon->folder, path, flags);
		/* Without its last name it is still to be had by descriptor. */
		if (file >= 0 || errno != ENOENT || fd < 0)
			return file < 0 ? -errno : file;
	}
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	file = open(path, flags & ~O_NOFOLLOW);
	return file < 0 ? -errno : file;
}

int anon_stat(const struct anon *anon, uint64_t ino, struct stat *ret_status)
{
	char name[24];

	ino_name(ino, name);
	return fstatat(anon->folder, name, ret_status, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

void anon_forget(struct anon *anon, uint64_t ino)
{
	char name[24];

	ino_name(ino, name);
	if (anon->kind == ANON_TMPFS)
		unlinkat(anon->folder, name, 0);
}
