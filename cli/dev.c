/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Things are missing from /dev not by covering them, which leaves a name behind, but by a new
 * /dev which never had them (cli/anew.h). It works alike whether /dev/shm is a folder, a mount, a
 * pile of mounts or a link.
 * One device does not work when it is bound as a single file: /dev/ptmx looks for "pts" in the
 * folder that it is in, and a mount of one file has none (Linux 6.18: ENOENT). Root makes the
 * node anew. In a user namespace that is forbidden: there the whole old /dev stays mounted as
 * /dev/.shmemu, the hidden things in it covered, and /dev/ptmx is a link to the one in it. */
#include "cli/dev.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"
#include "cli/anew.h"
#include "cli/say.h"

#define PTMX "ptmx"
#define OLD_FOLDER ".shmemu"

static bool is_left_out(const void *context, const char *name)
{
	const struct dev_plan *plan = context;

	for (size_t i = 0; i < plan->hidden_count; i++)
		if (strcmp(plan->hidden[i], name) == 0)
			return true;
	return strcmp(name, PTMX) == 0;
}

static void add_folder(const char *name)
{
	struct text path = anew_path("/dev", name);
	int result = sys_mkdirat(AT_FDCWD, path.bytes, 0755);

	if (result < 0)
		fail("cannot make %s: %s", path.bytes, strerror(-result));
}

/* Where the old /dev is still seen, the hidden things are covered at least. A link there is
 * left: what it leads to is elsewhere. */
static void cover_hidden(const struct dev_plan *plan)
{
	for (size_t i = 0; i < plan->hidden_count; i++) {
		struct text path = anew_path("/dev/" OLD_FOLDER, plan->hidden[i]);
		struct stat status;
		int result;

		if (lstat(path.bytes, &status) < 0 || S_ISLNK(status.st_mode))
			continue;
		if (S_ISDIR(status.st_mode))
			result = mount("shmemu", path.bytes, "tmpfs", MS_RDONLY, "mode=0000");
		else
			result = mount("/dev/null", path.bytes, NULL, MS_BIND, NULL);
		if (result < 0)
			fail("cannot cover %s: %s", path.bytes, strerror(errno));
	}
}

/* Takes along the old /dev as it was before it was covered. By raw calls: glibc has them from
 * 2.36 only. */
static int clone_old(void)
{
	return (int)sys_call(SYS_open_tree, AT_FDCWD, (long)".",
	                     1 /* OPEN_TREE_CLONE */ | AT_RECURSIVE | O_CLOEXEC, 0, 0, 0);
}

static int attach_old(int tree)
{
	static const char path[] = "/dev/" OLD_FOLDER;
	long result;

	if (tree < 0)
		return tree;
	if (mkdir(path, 0755) < 0)
		return -errno;
	result = sys_call(SYS_move_mount, tree, (long)"", AT_FDCWD, (long)path,
	                  4 /* MOVE_MOUNT_F_EMPTY_PATH */, 0);
	return (int)result;
}

/* `tree`: clone_old's. */
static int copy_ptmx(int tree)
{
	struct stat status;
	int result;

	if (lstat(PTMX, &status) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISLNK(status.st_mode))
		return anew_copy_link(PTMX, "/dev/" PTMX);
	if (mknod("/dev/" PTMX, S_IFCHR | 0666, makedev(5, 2)) == 0)
		return 0;
	result = attach_old(tree);
	if (result < 0)
		return result;
	return symlink(OLD_FOLDER "/" PTMX, "/dev/" PTMX) < 0 ? -errno : 0;
}

/* Asks the kernel itself: libshmemu.so may be loaded into this tool, and answer for a /dev/shm
 * that is not there. */
bool dev_has(const char *name, int flags)
{
	struct text path = anew_path("/dev", name);
	OWN_FD fd = sys_openat(AT_FDCWD, path.bytes, O_PATH | O_CLOEXEC | flags, 0);

	return fd >= 0;
}

void dev_cover(const struct dev_plan *plan)
{
	struct anew anew;
	OWN_FD tree = -1;
	int result;

	anew_begin(&anew, "/dev");
	tree = clone_old();
	anew_cover(&anew, MS_NOSUID);
	anew_copy(&anew, is_left_out, plan);
	result = copy_ptmx(tree);
	if (result < 0)
		fail("cannot take /dev/ptmx into a /dev of this command's own: %s",
		     strerror(-result));
	cover_hidden(plan);
	if (plan->folder)
		add_folder(plan->folder);
	anew_end(&anew, plan->sealed);
}
