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
#include "fuse/ids.h"
#include "fuse/junk.h"

enum { OTHER_ID = 1, CLEARINGS_MAX = 64 };

#define NODES_FOLDER "nodes"

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

static _Noreturn void mount_in_namespace(int sock, const struct tmpfs_plan *plan)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	struct iovec part;
	int result;
	int mount = -1;

	result = unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ? -errno : map_own_ids(uid, gid);
	if (result == 0)
		mount = tmpfs_mount(plan);
	if (mount < 0)
		result = result < 0 ? result : mount;
	part = (struct iovec){&result, sizeof result};
	if (fdpass_send(sock, &part, 1, mount, NULL, 0) < 0 || mount < 0)
		_exit(1);
	/* What it takes to give the mount another size. */
	result = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	_exit(fdpass_send(sock, &part, 1, result, NULL, 0) < 0);
}

/* Without the namespace the mount is as good, but keeps its size. */
static int tmpfs_mount_borrowed(const struct tmpfs_plan *plan, int *ret_namespace)
{
	int pair[2];
	int mount = -1;
	int namespace = -1;
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
		mount_in_namespace(theirs, plan);
	fd_close_at(&theirs);
	if (fdpass_receive(mine, &part, 1, &mount, NULL, 0) != sizeof result)
		result = -EPERM;
	if (mount >= 0) {
		fdpass_receive(mine, &part, 1, &namespace, NULL, 0);
		result = mount;
		*ret_namespace = namespace;
	}
	waitpid(child, NULL, 0);
	return result == 0 && mount < 0 ? -EPERM : result;
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

static int try_tmpfs(struct anon *anon, const struct tmpfs_plan *plan)
{
	int folder = tmpfs_mount(plan);

	if (folder < 0)
		folder = tmpfs_mount_borrowed(plan, &anon->namespace);
	return folder < 0 ? folder : folder_try(anon, folder);
}

/* By the system's setting it may have huge pages too. */
static int try_memfd(struct anon *anon, enum huge huge)
{
	OWN_FD file = anon_create(anon, 0, 0);

	if (file < 0)
		return file;
	return huge == HUGE_NEVER && huge_is_given(file) > 0 ? -EOPNOTSUPP : 0;
}

static int try_tmpdir(struct anon *anon, const char *tmpdir)
{
	int folder = open(tmpdir ? tmpdir : "/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return folder < 0 ? -errno : folder_try(anon, folder);
}

static int try_kind(struct anon *anon, enum anon_kind kind, const char *tmpdir,
                    const struct tmpfs_plan *plan)
{
	enum huge huge = plan ? plan->huge : HUGE_DEFAULT;

	*anon = (struct anon){
		.kind = kind,
		.folder = -1,
		.nodes = -1,
		.namespace = -1,
		.size = plan ? plan->size : 0,
	};
	if (kind == ANON_TMPFS)
		return try_tmpfs(anon, plan);
	/* What only a tmpfs has. */
	if (anon->size || huge > HUGE_NEVER)
		return -EOPNOTSUPP;
	if (kind == ANON_MEMFD)
		return try_memfd(anon, huge);
	return try_tmpdir(anon, tmpdir);
}

/* A daemon that was killed may have left it behind. */
static int make_nodes(int seat)
{
	int folder;

	if (mkdirat(seat, NODES_FOLDER, 0700) < 0 && errno != EEXIST)
		return -errno;
	while (junk_clear(seat, NODES_FOLDER) == -ENOTEMPTY)
		;
	folder = openat(seat, NODES_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return folder < 0 ? -errno : folder;
}

/* Everybody can write, by the kernel, to a folder whose mode says so: where there are several users
 * it is a tmpfs in which nothing has room. */
static int open_nodes(struct anon *anon, int seat)
{
	anon->nodes = geteuid() == 0 ? tmpfs_mount_roomless() : -EPERM;
	if (anon->nodes < 0)
		anon->nodes = make_nodes(anon->kind == ANON_TMPFS ? anon->folder : seat);
	return anon->nodes < 0 ? anon->nodes : 0;
}

int anon_init(struct anon *anon, enum anon_kind wanted, const char *tmpdir,
              const struct tmpfs_plan *plan, int seat)
{
	int result = try_kind(anon, wanted == ANON_AUTO ? ANON_TMPFS : wanted, tmpdir, plan);

	if (result < 0 && wanted == ANON_AUTO)
		result = try_kind(anon, ANON_MEMFD, tmpdir, plan);
	if (result == 0)
		result = open_nodes(anon, seat);
	if (result < 0)
		anon_deinit(anon);
	return result;
}

void anon_leave_seat(const struct anon *anon, int seat)
{
	if (anon->kind != ANON_TMPFS)
		unlinkat(seat, NODES_FOLDER, AT_REMOVEDIR);
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

void anon_remove_user(struct anon *anon, uid_t uid)
{
	struct anon_user *user = find_user(anon, uid);

	if (!user)
		return;
	HASH_DEL(anon->users, user);
	close(user->folder);
	free(user);
}

bool anon_has_users(const struct anon *anon)
{
	return anon->mount != NULL;
}

int anon_each_user(const struct anon *anon, int (*each)(uid_t uid, int folder, void *details),
                   void *details)
{
	struct anon_user *user;
	struct anon_user *next;
	int result = 0;

	HASH_ITER(hh, anon->users, user, next)
		if (result == 0)
			result = each(user->uid, user->folder, details);
	return result;
}

/* Where this user's files are. Root's and our own are not limited. */
static int folder_of(const struct anon *anon, uid_t uid)
{
	const struct anon_user *user = anon->users ? find_user(anon, uid) : NULL;

	return user ? user->folder : anon->folder;
}

bool anon_has_share(const struct anon *anon, uid_t uid)
{
	return anon->users && find_user(anon, uid);
}

bool anon_is_limited(const struct anon *anon, uid_t uid)
{
	return anon->size || anon_has_share(anon, uid);
}

static int make_folder(struct anon *anon, uid_t uid)
{
	int folder;

	if (!anon->mount || uid == 0 || ids_is_own_user(uid) || find_user(anon, uid))
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
	fd_close_at(&anon->namespace);
	fd_close_at(&anon->nodes);
}

static void ino_name(uint64_t ino, char ret_name[static 24])
{
	snprintf(ret_name, 24, "%llu", (unsigned long long)ino);
}

int anon_create_open(struct anon *anon, uid_t uid, uint64_t ino, int flags)
{
	char name[24];
	int file = make_folder(anon, uid);
	int error;

	if (file < 0)
		return file;
	ino_name(ino, name);
	file = openat(folder_of(anon, uid), name, flags | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	error = errno;
	/* It can be made and yet not be opened so. */
	if (file < 0 && error != EEXIST)
		unlinkat(folder_of(anon, uid), name, 0);
	return file < 0 ? -error : file;
}

static int create_memfd(const char *name)
{
	int file = memfd_create(name, MFD_CLOEXEC);

	/* It is born 0777. */
	if (file >= 0 && fchmod(file, 0600) < 0) {
		int error = errno;

		close(file);
		return -error;
	}
	return file < 0 ? -errno : file;
}

int anon_create(struct anon *anon, uid_t uid, uint64_t ino)
{
	char name[24];
	int file;

	if (anon->kind == ANON_TMPFS)
		return anon_create_open(anon, uid, ino, O_RDWR);
	ino_name(ino, name);
	if (anon->kind == ANON_MEMFD)
		return create_memfd(name);
	file = openat(anon->folder, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	return file < 0 ? -errno : file;
}

int anon_create_nameless(struct anon *anon, uid_t uid, bool linkable)
{
	int flags = O_RDWR | O_TMPFILE | O_CLOEXEC | (linkable ? 0 : O_EXCL);
	int file = make_folder(anon, uid);

	if (file < 0)
		return file;
	if (anon->kind == ANON_TMPFS)
		file = openat(folder_of(anon, uid), ".", flags, 0600);
	else if (anon->kind == ANON_TMPDIR)
		file = openat(anon->folder, ".", flags, 0600);
	else
		return create_memfd("nameless");
	return file < 0 ? -errno : file;
}

int anon_adopt(struct anon *anon, uid_t uid, uint64_t ino, int file)
{
	char path[64];
	char name[24];

	/* Nobody can tell a memfd that never had a name from one that has lost it. */
	if (anon->kind != ANON_TMPFS)
		return -EXDEV;
	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	ino_name(ino, name);
	return linkat(AT_FDCWD, path, folder_of(anon, uid), name, AT_SYMLINK_FOLLOW) < 0 ? -errno
	                                                                                : 0;
}

/* What the kernel calls a file: "/17", "/17 (deleted)", "/memfd:17 (deleted)". */
static uint64_t number_of(int file)
{
	char path[64];
	char name[64];
	ssize_t length;

	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	length = readlink(path, name, sizeof name - 1);
	if (length < 0)
		return 0;
	name[length] = '\0';
	return strtoull(name + strcspn(name, "0123456789"), NULL, 10);
}

/* Only the kernel's own memory has seals to tell of: of any other file nothing more is asked. */
int anon_identify(const struct anon *anon, int file, struct stat *ret_status, uint64_t *ret_ino)
{
	struct stat ours;

	if (fcntl(file, F_GET_SEALS) < 0 || fstat(file, ret_status) < 0 ||
	    !S_ISREG(ret_status->st_mode))
		return -EXDEV;
	if (anon->kind == ANON_TMPFS && (fstat(folder_of(anon, ret_status->st_uid), &ours) < 0 ||
	                                 ours.st_dev != ret_status->st_dev))
		return -EXDEV;
	*ret_ino = number_of(file);
	return 0;
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

static void count_name(uint64_t ino, uint32_t count, char ret_name[static 40])
{
	snprintf(ret_name, 40, "%llu.%u", (unsigned long long)ino, count);
}

void anon_link(struct anon *anon, uid_t uid, uint64_t ino, uint32_t count)
{
	char first[24];
	char name[40];

	ino_name(ino, first);
	count_name(ino, count, name);
	/* It may be there: from before a kill. */
	if (anon->kind == ANON_TMPFS &&
	    linkat(folder_of(anon, uid), first, folder_of(anon, uid), name, 0) < 0)
		return;
}

void anon_unlink(struct anon *anon, uid_t uid, uint64_t ino, uint32_t count)
{
	char name[40];

	count_name(ino, count, name);
	if (anon->kind == ANON_TMPFS)
		unlinkat(folder_of(anon, uid), name, 0);
}

int anon_make_node(struct anon *anon, mode_t type, const char *name)
{
	int result;

	if (S_ISDIR(type))
		result = mkdirat(anon->nodes, name, 0700);
	else if (S_ISFIFO(type) || S_ISSOCK(type))
		result = mknodat(anon->nodes, name, type | 0600, 0);
	else
		result = mknodat(anon->nodes, name, S_IFREG | 0600, 0);
	return result < 0 ? -errno : 0;
}

int anon_clear_node(const struct anon *anon, const char *name)
{
	return junk_clear(anon->nodes, name);
}

/* Somebody may have been faster than anon_clear_node. When it is ours nobody else can go on, but in
 * folders below it: who does gets to keep what it has there. */
void anon_forget_node(struct anon *anon, const char *name)
{
	int left = CLEARINGS_MAX;

	if (unlinkat(anon->nodes, name, 0) == 0 || errno == ENOENT ||
	    unlinkat(anon->nodes, name, AT_REMOVEDIR) == 0)
		return;
	if (fchownat(anon->nodes, name, geteuid(), (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(anon->nodes, name, 0700, 0) < 0)
		return;
	while (unlinkat(anon->nodes, name, AT_REMOVEDIR) < 0 && left--)
		junk_clear(anon->nodes, name);
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

uint64_t anon_device(const struct anon *anon, uid_t uid)
{
	struct stat status;

	return fstat(folder_of(anon, uid), &status) < 0 ? 0 : status.st_dev;
}

int anon_room(const struct anon *anon, uid_t uid, uint64_t *ret_total, uint64_t *ret_available)
{
	struct statvfs status;

	if (anon->kind != ANON_TMPFS || fstatvfs(folder_of(anon, uid), &status) < 0 ||
	    !tmpfs_is_limited(&status))
		return -EOPNOTSUPP;
	*ret_total = (uint64_t)status.f_blocks * status.f_frsize;
	*ret_available = (uint64_t)status.f_bavail * status.f_frsize;
	return 0;
}
