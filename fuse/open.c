/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What open(2) decides: written after Linux's build_open_flags, lookup_open, may_open and
 * may_create_in_sticky, in their order, since the order decides the errno. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <unistd.h>

#include "base/own.h"
#include "fuse/judge.h"
#include "fuse/store_i.h"

/* open(2) drops the other flags when it is to give a mere path. */
static int effective_flags(int flags)
{
	if (flags & O_PATH)
		flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW;
	return flags;
}

/* Access mode 3 asks for both rights, and gives neither reading nor writing. */
static mode_t wanted_access(int flags)
{
	mode_t want = JUDGE_READ;

	if (flags & O_PATH)
		return 0;
	if ((flags & O_ACCMODE) == O_WRONLY)
		want = JUDGE_WRITE;
	else if (flags & O_ACCMODE)
		want = JUDGE_READ | JUDGE_WRITE;
	if (flags & O_TRUNC)
		want |= JUDGE_WRITE;
	return want;
}

static int check_flags(int flags)
{
	bool tmpfile = (flags & (O_TMPFILE & ~O_DIRECTORY)) != 0;
	bool writes = (flags & O_ACCMODE) != O_RDONLY;

	if (tmpfile && (!(flags & O_DIRECTORY) || (flags & O_CREAT) || !writes))
		return -EINVAL;
	if ((flags & O_DIRECTORY) && (flags & O_CREAT))
		return -EINVAL;
	return 0;
}

/* fs.protected_regular and fs.protected_fifos: O_CREAT must not open what a stranger left lying
 * in a sticky folder. Root too. What is neither file nor fifo the kernel has no setting for. */
static int check_sticky_create(const struct store_actor *actor, const struct store_node *folder,
                               const struct stat *status)
{
	const struct store_protected *protected = &folder->store->protected;
	int level = S_ISREG(status->st_mode) ? protected->regular :
	            S_ISFIFO(status->st_mode) ? protected->fifos : 1;
	struct stat sticky;
	int result;

	if (!level || status->st_uid == actor->uid)
		return 0;
	result = store_node_stat(folder, &sticky);
	if (result < 0 || !(sticky.st_mode & S_ISVTX) || status->st_uid == sticky.st_uid)
		return result;
	if (sticky.st_mode & S_IWOTH)
		return -EACCES;
	return (sticky.st_mode & S_IWGRP) && level >= 2 ? -EACCES : 0;
}

/* What there is may be of a kind that can't be opened so. */
static int check_kind(const struct stat *status, int flags)
{
	if (S_ISLNK(status->st_mode) && !(flags & O_PATH))
		return flags & O_DIRECTORY ? -ENOTDIR : -ELOOP;
	if ((flags & O_DIRECTORY) && !S_ISDIR(status->st_mode))
		return -ENOTDIR;
	if (flags & O_PATH)
		return 0;
	if (S_ISDIR(status->st_mode) &&
	    ((wanted_access(flags) & JUDGE_WRITE) || (flags & O_CREAT)))
		return -EISDIR;
	/* Nobody can open a socket, and here no device. */
	if (S_ISCHR(status->st_mode) || S_ISBLK(status->st_mode))
		return -EACCES;
	return 0;
}

static int check_existing(const struct store_actor *actor, const struct store_node *folder,
                          const struct stat *status, int flags)
{
	int result = 0;

	if ((flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	if ((flags & O_CREAT) && S_ISDIR(status->st_mode))
		return -EISDIR;
	if (flags & O_CREAT)
		result = check_sticky_create(actor, folder, status);
	if (result == 0)
		result = check_kind(status, flags);
	if (result == 0)
		result = judge_access(actor, status, wanted_access(flags));
	if (result == 0 && (flags & O_NOATIME) && !(flags & O_PATH) &&
	    !judge_is_owner(actor, status))
		result = -EPERM;
	if (result == 0 && S_ISSOCK(status->st_mode) && !(flags & O_PATH))
		result = -ENXIO;
	return result;
}

/* Without the right to execute, set-group-id stays for who is of the group. */
void store_strip_set_id(const struct store_actor *actor, int file)
{
	struct stat status;
	mode_t strip = S_ISUID;

	if (fstat(file, &status) < 0)
		return;
	if ((status.st_mode & S_ISGID) &&
	    ((status.st_mode & S_IXGRP) || !judge_in_group(actor, status.st_gid)))
		strip |= S_ISGID;
	if (status.st_mode & strip)
		fchmod(file, status.st_mode & 07777 & ~strip);
}

static int truncate_once(struct store *store, const struct store_actor *actor,
                         struct store_node *node)
{
	int file = store_node_file(node);
	int64_t result = file;

	if (file < 0 || store_turn_done(store, &result))
		return (int)result;
	if (!judge_has_capability(actor, CAP_FSETID))
		store_strip_set_id(actor, file);
	result = store_node_resize(node, 0);
	store_turn_did(store, result);
	return (int)result;
}

static int open_existing(struct store *store, const struct store_actor *actor,
                         const struct store_node *folder, struct store_node *node, int flags)
{
	OWN_FD file = -1;
	struct stat status;
	int result = store_node_stat(node, &status);

	if (result == 0)
		result = check_existing(actor, folder, &status, flags);
	if (result < 0)
		return result;
	file = store_node_reopen(store, node, flags & ~(O_CREAT | O_EXCL | O_TRUNC));
	if (file < 0)
		return file;
	if ((flags & O_TRUNC) && S_ISREG(status.st_mode))
		result = truncate_once(store, actor, node);
	return result < 0 ? result : fd_steal(&file);
}

/* In a folder with set-group-id a file that its group may execute gets its own only from one of the
 * group. */
static mode_t strip_group_id(const struct store_actor *actor, const struct stat *folder,
                             mode_t mode)
{
	mode_t both = S_ISGID | S_IXGRP;

	if ((mode & both) != both || !(folder->st_mode & S_ISGID) ||
	    judge_in_group(actor, folder->st_gid) || judge_has_capability(actor, CAP_FSETID))
		return mode;
	return mode & ~(mode_t)S_ISGID;
}

int store_judge_birth(const struct store_actor *actor, struct store_node *folder,
                      struct store_birth *birth)
{
	struct stat status;
	int result = folder->links ? folder_rights(folder, &status) : -ENOENT;

	if (result == 0)
		result = judge_add(actor, &status);
	if (result == 0 && !S_ISDIR(birth->mode))
		birth->mode = strip_group_id(actor, &status, birth->mode);
	if (result == 0)
		node_inherit(&status, birth);
	return result;
}

static int open_new(struct store *store, const struct store_actor *actor,
                    struct store_node *folder, const char *name, int flags,
                    const struct store_birth *birth, struct store_node **ret_node)
{
	struct store_birth judged = *birth;
	int result = store_judge_birth(actor, folder, &judged);

	if (result < 0)
		return result;
	return store_create_open(store, folder, name, &judged,
	                         flags & ~(O_CREAT | O_EXCL | O_TRUNC), ret_node);
}

int store_check_open_flags(int *flags)
{
	*flags = effective_flags(*flags);
	return check_flags(*flags);
}

int store_open(struct store *store, const struct store_actor *actor, struct store_node *folder,
               const char *name, int flags, const struct store_birth *birth,
               struct store_node **ret_node, bool *ret_created)
{
	struct store_node *node = store_lookup(store, folder, name);
	int result = store_check_open_flags(&flags);

	if (result < 0)
		return result;
	if (!node && !(flags & O_CREAT))
		return -ENOENT;
	if (store_made_before(store, folder, name) && (flags & O_CREAT)) {
		*ret_created = true;
		*ret_node = node;
		return store_reopen_made(store, node, flags & ~(O_CREAT | O_EXCL | O_TRUNC));
	}
	*ret_created = !node;
	if (!node)
		return open_new(store, actor, folder, name, flags, birth, ret_node);
	result = open_existing(store, actor, folder, node, flags);
	if (result >= 0)
		*ret_node = node;
	return result;
}

int store_make(struct store *store, const struct store_actor *actor, struct store_node *folder,
               const char *name, int flags, const struct store_birth *birth,
               struct store_node **ret_node)
{
	struct store_birth judged = *birth;
	int result = store_check_open_flags(&flags);

	if (result == 0 && !(flags & O_CREAT))
		result = -ENOENT;
	if (result == 0)
		result = store_judge_birth(actor, folder, &judged);
	return result < 0 ? result : store_create(store, folder, name, &judged, ret_node);
}

int store_open_folder(struct store *store, const struct store_actor *actor,
                      struct store_node *node, int flags)
{
	return open_existing(store, actor, node, node, flags);
}

/* The file that comes is the only one: nobody else can reach what has no name. */
int store_open_nameless(struct store *store, const struct store_actor *actor,
                        struct store_node *folder, int flags, const struct store_birth *birth)
{
	struct store_birth judged = *birth;
	int result;

	if (!S_ISDIR(store_node_type(folder)))
		return -ENOTDIR;
	result = store_judge_birth(actor, folder, &judged);
	return result < 0 ? result : node_make_nameless(store, folder, &judged, flags);
}

/* What is there to be removed, judged as if nothing were known of it but by the kernel. */
static int check_removal(const struct store_actor *actor, struct store_node *folder,
                         const struct store_node *node, bool is_folder)
{
	struct stat above;
	struct stat status = {.st_uid = 0};
	int result = folder_rights(folder, &above);

	if (result == 0 && judge_needs_owner(actor, &above))
		result = store_node_stat(node, &status);
	if (result == 0)
		result = judge_remove(actor, &above, &status);
	if (result < 0)
		return result;
	if (is_folder != S_ISDIR(store_node_type(node)))
		return is_folder ? -ENOTDIR : -EISDIR;
	return 0;
}

int store_remove(struct store *store, const struct store_actor *actor, struct store_node *folder,
                 const char *name, bool is_folder, uint64_t ino)
{
	struct store_node *node = store_lookup(store, folder, name);
	int result;

	if (store_has_removed(store))
		return 0;
	if (!node || (ino && store_node_ino(node) != ino))
		return -ENOENT;
	result = check_removal(actor, folder, node, is_folder);
	return result < 0 ? result : store_unlink(store, folder, name);
}
