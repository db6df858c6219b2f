/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may: the kernel's judgement of modes, owners and sticky folders, made for the socket door. */
#ifndef SHMEMU_FUSE_JUDGE_H
#define SHMEMU_FUSE_JUDGE_H

#include <stdbool.h>
#include <sys/stat.h>

struct store_actor;

enum { JUDGE_READ = 4, JUDGE_WRITE = 2, JUDGE_SEARCH = 1 };

/* May the actor do all that is wanted with what has this status? 0 or -EACCES (path_resolution(7),
 * capabilities(7)). */
int judge_access(const struct store_actor *actor, const struct stat *status, mode_t want);

bool judge_is_owner(const struct store_actor *actor, const struct stat *status);
bool judge_has_capability(const struct store_actor *actor, int capability);
bool judge_in_group(const struct store_actor *actor, gid_t gid);

/* May the actor make a name in a folder, or take one of what has `status` out of it? 0, -EACCES, or
 * -EPERM by the sticky rule: only then is `status` looked at. */
int judge_add(const struct store_actor *actor, const struct stat *folder);
bool judge_needs_owner(const struct store_actor *actor, const struct stat *folder);
int judge_remove(const struct store_actor *actor, const struct stat *folder,
                 const struct stat *status);

#endif
