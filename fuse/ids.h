/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Our own effective ids, which do not change while we serve: asking for them costs as much as what
 * is done with them. */
#ifndef SHMEMU_FUSE_IDS_H
#define SHMEMU_FUSE_IDS_H

#include <stdbool.h>
#include <sys/types.h>

bool ids_are_own(uid_t uid, gid_t gid);
bool ids_is_own_user(uid_t uid);

#endif
