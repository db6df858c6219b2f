/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/tmpfs.h"

#include <errno.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"

enum { SMALLEST_SIZE = 4096 };

static const uint64_t any_size = UINT64_C(1) << 60;
/* Any number, but counted. */
#define ANY_INODES "1099511627776"

/* By number: glibc has them from 2.36 on. */
static int command(int context, unsigned command, const char *key, const char *value)
{
	return (int)sys_call(SYS_fsconfig, context, command, (long)key, (long)value, 0, 0);
}

static int configure(int context, const char *key, const char *value)
{
	return command(context, FSCONFIG_SET_STRING, key, value);
}

static int mount_of(int context, unsigned attributes)
{
	return (int)sys_call(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes, 0, 0, 0);
}

static int configure_size(int context, uint64_t size)
{
	char text[32];

	snprintf(text, sizeof text, "%llu", (unsigned long long)(size ? size : any_size));
	return configure(context, "size", text);
}

/* A kernel without huge pages for tmpfs refuses them: by default it is without. */
static int configure_huge(int context, enum huge huge)
{
	int result = configure(context, "huge", huge_word(huge));

	return huge == HUGE_DEFAULT || huge == HUGE_NEVER ? 0 : result;
}

static int mount_with(const struct tmpfs_plan *plan, const char *inodes)
{
	const unsigned flags = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	OWN_FD context = (int)sys_call(SYS_fsopen, (long)"tmpfs", FSOPEN_CLOEXEC, 0, 0, 0, 0);
	int result;

	if (context < 0)
		return context;
	if (configure_size(context, plan->size) < 0 ||
	    configure_huge(context, plan->huge) < 0 ||
	    (inodes && configure(context, "nr_inodes", inodes) < 0) ||
	    configure(context, "mode", "0700") < 0)
		return -EOPNOTSUPP;
	result = command(context, FSCONFIG_CMD_CREATE, NULL, NULL);
	if (result < 0)
		return result;
	/* There are no links in it but what somebody puts there who should not: from Linux 5.14 on
	 * nobody follows them. */
	result = mount_of(context, flags | MOUNT_ATTR_NOSYMFOLLOW);
	return result == -EINVAL ? mount_of(context, flags) : result;
}

int tmpfs_mount(const struct tmpfs_plan *plan)
{
	static const struct tmpfs_plan any = {.size = 0};

	return mount_with(plan ? plan : &any, ANY_INODES);
}

int tmpfs_mount_roomless(void)
{
	static const struct tmpfs_plan plan = {.size = SMALLEST_SIZE, .huge = HUGE_NEVER};

	return mount_with(&plan, NULL);
}

static int reconfigure(int mount, uint64_t size)
{
	OWN_FD context = (int)sys_call(SYS_fspick, mount, (long)"",
	                               FSPICK_EMPTY_PATH | FSPICK_CLOEXEC, 0, 0, 0);
	int result = context < 0 ? context : configure_size(context, size);

	if (result == 0)
		result = command(context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL);
	/* The one thing that it can have against a size. */
	return result == -EINVAL ? -EBUSY : result;
}

/* In a child: whoever made a user namespace may enter it, but not leave it again. A mount namespace
 * that belongs to it has to be there too. */
static int enter(int namespace)
{
	return setns(namespace, CLONE_NEWUSER) < 0 || unshare(CLONE_NEWNS) < 0 ? -errno : 0;
}

static int reconfigure_in(int mount, int namespace, uint64_t size)
{
	pid_t child = fork();
	int status = 0;
	int result;

	if (child < 0)
		return -errno;
	if (child == 0) {
		result = enter(namespace);
		_exit(-(result < 0 ? result : reconfigure(mount, size)));
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

int tmpfs_resize(int mount, int namespace, uint64_t size)
{
	return namespace < 0 ? reconfigure(mount, size) : reconfigure_in(mount, namespace, size);
}

bool tmpfs_is_limited(const struct statvfs *status)
{
	return status->f_blocks && status->f_blocks < any_size / status->f_frsize;
}
