/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/mounted.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/dev.h"
#include "cli/say.h"

#define DEVICE "/dev/fuse"

static const char instead[] = "without --mount-dev-shm programs with the library need no FUSE";

static void check_device(void)
{
	OWN_FD device = sys_openat(AT_FDCWD, DEVICE, O_RDWR | O_CLOEXEC, 0);

	if (device == -ENOENT)
		fail("cannot mount on " MOUNTED_PATH ": this host has no " DEVICE "; %s", instead);
	if (device == -ENODEV || device == -ENXIO)
		fail("cannot mount on " MOUNTED_PATH ": this host's kernel has no FUSE; %s",
		     instead);
	if (device == -EACCES || device == -EPERM)
		fail("cannot mount on " MOUNTED_PATH ": user %u may not use " DEVICE ": %s; its "
		     "mode should be 0666; %s", geteuid(), strerror(-device), instead);
	if (device < 0)
		fail("cannot mount on " MOUNTED_PATH ": " DEVICE ": %s; %s", strerror(-device),
		     instead);
}

void mounted_enter(struct mounted *ret_mounted)
{
	struct dev_plan plan = {
		.hidden = {"shm"},
		.hidden_count = 1,
		.folder = "shm",
		.sealed = geteuid() != 0,
	};

	check_device();
	ret_mounted->caller = privilege_now();
	ret_mounted->in_user_namespace = privilege_enter_mounts(&ret_mounted->caller);
	if (!dev_has("shm", O_DIRECTORY))
		dev_cover(&plan);
}

void mounted_restore(const struct mounted *mounted)
{
	if (mounted->in_user_namespace)
		privilege_restore(&mounted->caller);
}
