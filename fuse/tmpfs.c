/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/tmpfs.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mount.h>

#include "base/own.h"

static int configure(int context, const char *key, const char *value)
{
	return fsconfig(context, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno : 0;
}

int tmpfs_mount(uint64_t size)
{
	OWN_FD context = fsopen("tmpfs", FSOPEN_CLOEXEC);
	char text[32];
	int mount;

	if (context < 0)
		return -errno;
	snprintf(text, sizeof text, "%llu", (unsigned long long)size);
	if (configure(context, "size", text) < 0 || configure(context, "nr_inodes", "0") < 0 ||
	    configure(context, "mode", "0700") < 0)
		return -EOPNOTSUPP;
	/* A kernel without huge pages for tmpfs refuses this one: then without. */
	configure(context, "huge", "within_size");
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	mount = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	return mount < 0 ? -errno : mount;
}
