/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What open(2) and unlink(2) decide in a folder of mode 1777 that root owns, as /dev/shm is:
 * written after Linux's build_open_flags, may_open and may_create_in_sticky, in their order,
 * since the order decides the errno. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <unistd.h>

#include "base/own.h"
#include "fuse/store_i.h"

enum { WANT_READ = 4, WANT_WRITE = 2 };

enum { FOLDER_UID = 0 };

/* open(2) drops the other flags when it is to give a mere path. */
static int effective_flags(int flags)
{
	if (flags & O_PATH)
		flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW;
	return flags;
}

/* Access mode 3 asks for both rights, and gives neither reading nor writing. */
static int wanted_access(int flags)
{
	int want = WANT_READ;

	if (flags & O_PATH)
		return 0;
	if ((flags & O_ACCMODE) == O_WRONLY)
		want = WANT_WRITE;
	else if (flags & O_ACCMODE)
		want = WANT_READ | WANT_WRITE;
	if (flags & O_TRUNC)
		want |= WANT_WRITE;
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

static bool has_capability(const struct store_actor *actor, int capability)
{
	return actor->has_capability && actor->has_capability(actor, capability);
}

static int check_access(const struct store_actor *actor, const struct stat *status, int want)
{
	mode_t granted = status->st_mode;

	if (status->st_uid == actor->uid)
		granted >>= 6;
	else if (status->st_gid == actor->gid)
		granted >>= 3;
	else if (((granted >> 3 ^ granted) & 7) && actor->in_group &&
	         actor->in_group(actor, status->st_gid))
		granted >>= 3;
	if ((granted & (mode_t)want) == (mode_t)want)
		return 0;
	if (want == WANT_READ && has_capability(actor, CAP_DAC_READ_SEARCH))
		return 0;
	return has_capability(actor, CAP_DAC_OVERRIDE) ? 0 : -EACCES;
}

static bool is_owner(const struct store_actor *actor, const struct stat *status)
{
	return actor->uid == status->st_uid || has_capability(actor, CAP_FOWNER);
}

/* fs.protected_regular: O_CREAT must not open what a stranger left lying in a sticky folder. Root
 * too. */
static int check_sticky_create(const struct store *store, const struct store_actor *actor,
                               const struct stat *status)
{
	if (!store_protected_regular(store) || status->st_uid == FOLDER_UID ||
	    status->st_uid == actor->uid)
		return 0;
	return -EACCES;
}

static int check_existing(const struct store *store, const struct store_actor *actor,
                          const struct stat *status, int flags)
{
	int result = 0;

	if ((flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	if (flags & O_CREAT)
		result = check_sticky_create(store, actor, status);
	if (result == 0 && (flags & O_DIRECTORY))
		result = -ENOTDIR;
	if (result == 0)
		result = check_access(actor, status, wanted_access(flags));
	if (result == 0 && (flags & O_NOATIME) && !is_owner(actor, status))
		result = -EPERM;
	return result;
}

void store_strip_set_id(int file)
{
	struct stat status;
	mode_t strip = S_ISUID;

	if (fstat(file, &status) < 0)
		return;
	if (status.st_mode & S_IXGRP)
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
	if (!has_capability(actor, CAP_FSETID))
		store_strip_set_id(file);
	result = ftruncate(file, 0) < 0 ? -errno : 0;
	store_turn_did(store, result);
	return (int)result;
}

static int open_existing(struct store *store, const struct store_actor *actor,
                         struct store_node *node, int flags)
{
	OWN_FD file = -1;
	struct stat status;
	int result = store_node_stat(node, &status);

	if (result == 0)
		result = check_existing(store, actor, &status, flags);
	if (result < 0)
		return result;
	file = store_node_reopen(store, node, flags & ~(O_CREAT | O_EXCL | O_TRUNC));
	if (file < 0)
		return file;
	if (flags & O_TRUNC)
		result = truncate_once(store, actor, node);
	return result < 0 ? result : fd_steal(&file);
}

int store_open(struct store *store, const struct store_actor *actor, const char *name, int flags,
               const struct store_birth *birth, struct store_node **ret_node, bool *ret_created)
{
	struct store_node *node = store_lookup(store, name);
	int result;

	flags = effective_flags(flags);
	result = check_flags(flags);
	if (result < 0)
		return result;
	if (!node && !(flags & O_CREAT))
		return -ENOENT;
	if (store_made_before(store, name) && (flags & O_CREAT)) {
		*ret_created = true;
		*ret_node = node;
		return store_reopen_made(store, node, flags & ~(O_CREAT | O_EXCL | O_TRUNC));
	}
	*ret_created = !node;
	if (!node)
		return store_create_open(store, name, birth, flags & ~(O_CREAT | O_EXCL | O_TRUNC),
		                         ret_node);
	result = open_existing(store, actor, node, flags);
	if (result >= 0)
		*ret_node = node;
	return result;
}

int store_remove(struct store *store, const struct store_actor *actor, const char *name,
                 uint64_t ino)
{
	struct store_node *node = store_lookup(store, name);
	struct stat status;
	int result;

	if (store_removed_before(store, name))
		return 0;
	if (!node || (ino && store_node_ino(node) != ino))
		return -ENOENT;
	result = store_node_stat(node, &status);
	if (result < 0)
		return result;
	/* The folder is root's, and who owns a sticky folder may remove from it. */
	if (actor->uid != FOLDER_UID && !is_owner(actor, &status))
		return -EPERM;
	return store_unlink(store, name);
}
