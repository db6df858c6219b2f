/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who asks, for the little that the kernel does not judge. The request has a uid and a gid. Groups
 * and capabilities come from /proc: whoever asks waits for us, and so can't execute another program
 * meanwhile. */
#include "fuse/fs_i.h"
#include "fuse/proc.h"

static bool in_group(const struct store_actor *actor, gid_t gid)
{
	const struct fs *fs = actor->details;

	return proc_has_group(fs->request.pid, NULL, gid);
}

static bool has_capability(const struct store_actor *actor, int capability)
{
	const struct fs *fs = actor->details;

	return proc_has_capability(fs->request.pid, NULL, capability);
}

struct store_actor fs_asker(const struct fs *fs)
{
	return (struct store_actor){
		.uid = fs->request.uid,
		.gid = fs->request.gid,
		.details = fs,
		.in_group = in_group,
		.has_capability = has_capability,
	};
}
