/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* After Linux's generic_permission, may_create, may_delete and check_sticky. */
#include "fuse/judge.h"

#include <errno.h>
#include <linux/capability.h>

#include "fuse/store.h"

bool judge_has_capability(const struct store_actor *actor, int capability)
{
	return actor->has_capability && actor->has_capability(actor, capability);
}

bool judge_in_group(const struct store_actor *actor, gid_t gid)
{
	return actor->gid == gid || (actor->in_group && actor->in_group(actor, gid));
}

/* The superuser executes nothing that nobody may, but searches any folder. */
static bool is_overridden(const struct store_actor *actor, const struct stat *status, mode_t want)
{
	bool reads = !(want & JUDGE_WRITE) && (S_ISDIR(status->st_mode) || want == JUDGE_READ);

	if (!S_ISDIR(status->st_mode) && (want & JUDGE_SEARCH) && !(status->st_mode & 0111))
		return false;
	if (reads && judge_has_capability(actor, CAP_DAC_READ_SEARCH))
		return true;
	return judge_has_capability(actor, CAP_DAC_OVERRIDE);
}

int judge_access(const struct store_actor *actor, const struct stat *status, mode_t want)
{
	mode_t granted = status->st_mode;

	if (status->st_uid == actor->uid)
		granted >>= 6;
	else if (status->st_gid == actor->gid)
		granted >>= 3;
	else if (((granted >> 3 ^ granted) & want) && actor->in_group &&
	         actor->in_group(actor, status->st_gid))
		granted >>= 3;
	if ((granted & want) == want)
		return 0;
	return is_overridden(actor, status, want) ? 0 : -EACCES;
}

bool judge_is_owner(const struct store_actor *actor, const struct stat *status)
{
	return actor->uid == status->st_uid || judge_has_capability(actor, CAP_FOWNER);
}

int judge_add(const struct store_actor *actor, const struct stat *folder)
{
	return judge_access(actor, folder, JUDGE_WRITE | JUDGE_SEARCH);
}

bool judge_needs_owner(const struct store_actor *actor, const struct stat *folder)
{
	return (folder->st_mode & S_ISVTX) && actor->uid != folder->st_uid;
}

int judge_remove(const struct store_actor *actor, const struct stat *folder,
                 const struct stat *status)
{
	int result = judge_add(actor, folder);

	if (result < 0)
		return result;
	if (!judge_needs_owner(actor, folder))
		return 0;
	return judge_is_owner(actor, status) ? 0 : -EPERM;
}
