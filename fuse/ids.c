/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/ids.h"

#include <unistd.h>

static struct {
	uid_t uid;
	gid_t gid;
	bool known;
} own;

static void know(void)
{
	if (own.known)
		return;
	own.uid = geteuid();
	own.gid = getegid();
	own.known = true;
}

bool ids_are_own(uid_t uid, gid_t gid)
{
	know();
	return uid == own.uid && gid == own.gid;
}

bool ids_is_own_user(uid_t uid)
{
	know();
	return uid == own.uid;
}
