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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "base/own.h"
#include "fuse/hash.h"
#include "fuse/tmpfs.h"

enum { OTHER_ID = 1 };

/* A user with a tmpfs of its own. */
struct anon_user {
	uid_t uid;
	int folder; /* owned */
	UT_hash_handle hh;
};

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

static _Noreturn void mount_in_namespace(int sock, uint64_t size)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	struct iovec part;
	int result;
	int mount = -1;

	result = unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ? -errno : map_own_ids(uid, gid);
	if (result == 0)
		mount = tmpfs_mount(size);
	if (mount < 0)
		result = result < 0 ? result : mount;
	part = (struct iovec){&result, sizeof result};
	_exit(fdpass_send(sock, &part, 1, mount, NULL, 0) < 0);
}

static int tmpfs_mount_borrowed(uint64_t size)
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
		mount_in_namespace(theirs, size);
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
	again = anon_reopen(anon, 0, 0, -1, O_RDWR);
	if (again >= 0)
		close(again);
	return again >= 0;
}

/* Mounting is one thing, whether files can be made and opened there another. */
static int folder_try(struct anon *anon, int folder)
{
	int file;

	anon->folder = folder;
	file = anon_create(anon, 0, 0);
	if (file >= 0) {
		anon->by_name = opens_by_name(anon, file);
		anon_forget(anon, 0, 0);
		close(file);
		return 0;
	}
	fd_close_at(&anon->folder);
	return file;
}

static int try_tmpfs(struct anon *anon)
{
	int folder = tmpfs_mount(anon->size);

	if (folder < 0)
		folder = tmpfs_mount_borrowed(anon->size);
	return folder < 0 ? folder : folder_try(anon, folder);
}

static int try_memfd(struct anon *anon)
{
	int file = anon_create(anon, 0, 0);

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

static int try_kind(struct anon *anon, enum anon_kind kind, const char *tmpdir, uint64_t size)
{
	*anon = (struct anon){.kind = kind, .folder = -1, .size = size};
	/* Only a tmpfs has a size. */
	if (size && kind != ANON_TMPFS)
		return -EOPNOTSUPP;
	if (kind == ANON_TMPFS)
		return try_tmpfs(anon);
	if (kind == ANON_MEMFD)
		return try_memfd(anon);
	return try_tmpdir(anon, tmpdir);
}

int anon_init(struct anon *anon, enum anon_kind wanted, const char *tmpdir, uint64_t size)
{
	int result;

	if (wanted != ANON_AUTO)
		return try_kind(anon, wanted, tmpdir, size);
	result = try_kind(anon, ANON_TMPFS, tmpdir, size);
	return result < 0 ? try_kind(anon, ANON_MEMFD, tmpdir, size) : 0;
}

void anon_limit_users(struct anon *anon, int (*mount)(struct anon *anon, uid_t uid))
{
	anon->mount = mount;
}

static struct anon_user *find_user(const struct anon *anon, uid_t uid)
{
	struct anon_user *user;

	HASH_FIND(hh, anon->users, &uid, sizeof uid, user);
	return user;
}

int anon_add_user(struct anon *anon, uid_t uid, int folder)
{
	struct anon_user *user = calloc(1, sizeof *user);

	if (user) {
		*user = (struct anon_user){.uid = uid, .folder = folder};
		HASH_ADD(hh, anon->users, uid, sizeof user->uid, user);
		/* With HASH_NONFATAL_OOM an element that could not be added has no table. */
		if (user->hh.tbl)
			return 0;
	}
	free(user);
	close(folder);
	return -ENOMEM;
}

/* Where this user's files are. Root's and our own are not limited. */
static int folder_of(const struct anon *anon, uid_t uid)
{
	const struct anon_user *user = anon->users ? find_user(anon, uid) : NULL;

	return user ? user->folder : anon->folder;
}

static int make_folder(struct anon *anon, uid_t uid)
{
	int folder;

	if (!anon->mount || uid == 0 || uid == geteuid() || find_user(anon, uid))
		return 0;
	folder = anon->mount(anon, uid);
	return folder < 0 ? folder : anon_add_user(anon, uid, folder);
}

void anon_deinit(struct anon *anon)
{
	struct anon_user *user;
	struct anon_user *next;

	HASH_ITER(hh, anon->users, user, next) {
		HASH_DEL(anon->users, user);
		close(user->folder);
		free(user);
	}
	fd_close_at(&anon->folder);
}

static void ino_name(uint64_t ino, char ret_name[static 24])
{
	snprintf(ret_name, 24, "%llu", (unsigned long long)ino);
}

int anon_create(struct anon *anon, uid_t uid, uint64_t ino)
{
	char name[24];
	int file = make_folder(anon, uid);

	if (file < 0)
		return file;
	ino_name(ino, name);
	if (anon->kind == ANON_TMPFS)
		file = openat(folder_of(anon, uid), name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
		              0600);
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

int anon_reopen(const struct anon *anon, uid_t uid, uint64_t ino, int fd, int flags)
{
	char path[64];
	int file;

	flags |= O_CLOEXEC;
	if (anon->kind == ANON_TMPFS) {
		ino_name(ino, path);
		file = openat(folder_of(anon, uid), path, flags);
		/* Without its last name it is still to be had by descriptor. */
		if (file >= 0 || errno != ENOENT || fd < 0)
			return file < 0 ? -errno : file;
	}
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	file = open(path, flags & ~O_NOFOLLOW);
	return file < 0 ? -errno : file;
}

int anon_stat(const struct anon *anon, uid_t uid, uint64_t ino, struct stat *ret_status)
{
	char name[24];

	ino_name(ino, name);
	if (fstatat(folder_of(anon, uid), name, ret_status, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

void anon_forget(struct anon *anon, uid_t uid, uint64_t ino)
{
	char name[24];

	ino_name(ino, name);
	if (anon->kind == ANON_TMPFS)
		unlinkat(folder_of(anon, uid), name, 0);
}

void anon_forget_anywhere(struct anon *anon, uint64_t ino)
{
	struct anon_user *user;
	struct anon_user *next;

	anon_forget(anon, 0, ino);
	HASH_ITER(hh, anon->users, user, next)
		anon_forget(anon, user->uid, ino);
}

int anon_room(const struct anon *anon, uid_t uid, uint64_t *ret_total, uint64_t *ret_available)
{
	struct statvfs status;

	if (anon->kind != ANON_TMPFS || fstatvfs(folder_of(anon, uid), &status) < 0 ||
	    !status.f_blocks)
		return -EOPNOTSUPP;
	*ret_total = (uint64_t)status.f_blocks * status.f_frsize;
	*ret_available = (uint64_t)status.f_bavail * status.f_frsize;
	return 0;
}
