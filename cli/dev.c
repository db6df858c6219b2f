/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Things are missing from /dev not by covering them, which leaves a name behind, but by a new
 * /dev which never had them: a tmpfs on top of the old, into which each other entry is bound
 * from the old one underneath. That one stays reachable for us as the working folder. It works
 * alike whether /dev/shm is a folder, a mount, a pile of mounts or a link.
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
#include "cli/say.h"

enum { LINK_SIZE = 4096 };

#define PTMX "ptmx"
#define OLD_FOLDER ".shmemu"

static struct text path_of(const char *folder, const char *name)
{
	struct text path = TEXT_NULL;

	text_string(&path, folder);
	text_string(&path, "/");
	text_string(&path, name);
	return path;
}

static bool is_hidden(const struct dev_plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->hidden_count; i++)
		if (strcmp(plan->hidden[i], name) == 0)
			return true;
	return false;
}

/* libshmemu.so may be loaded into this tool, and would make what is to be made in /dev/shm in its
 * store: so by the kernel's own calls. */
static int make_link(const char *text, const char *path)
{
	return (int)sys_call(SYS_symlinkat, (long)text, AT_FDCWD, (long)path, 0, 0, 0);
}

static int copy_link(const char *name, const char *target)
{
	char link[LINK_SIZE];
	long length = sys_call(SYS_readlinkat, AT_FDCWD, (long)name, (long)link, sizeof link - 1, 0,
	                       0);

	if (length < 0)
		return (int)length;
	link[length] = '\0';
	return make_link(link, target);
}

static int make_mount_point(const char *path, mode_t mode)
{
	OWN_FD fd = -1;

	if (S_ISDIR(mode))
		return sys_mkdirat(AT_FDCWD, path, 0755);
	fd = sys_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	return fd < 0 ? fd : 0;
}

/* From the old /dev, the working folder, to the new, which has the path. */
static int copy_entry(const char *name)
{
	struct text source = path_of(".", name), target = path_of("/dev", name);
	struct stat status;
	int result;

	if (fstatat(AT_FDCWD, source.bytes, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISLNK(status.st_mode))
		return copy_link(source.bytes, target.bytes);
	result = make_mount_point(target.bytes, status.st_mode);
	if (result < 0)
		return result;
	return mount(source.bytes, target.bytes, NULL, MS_BIND | MS_REC, NULL) < 0 ? -errno : 0;
}

static void copy_entries(DIR *old, const struct dev_plan *plan)
{
	const struct dirent *entry;
	int result;

	while ((entry = readdir(old))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (is_hidden(plan, entry->d_name) || strcmp(entry->d_name, PTMX) == 0)
			continue;
		result = copy_entry(entry->d_name);
		/* Devices come and go. */
		if (result < 0 && result != -ENOENT)
			fail("cannot bind /dev/%s into a /dev of this command's own: %s",
			     entry->d_name, strerror(-result));
	}
}

static void add_folder(const char *name)
{
	struct text path = path_of("/dev", name);
	int result = sys_mkdirat(AT_FDCWD, path.bytes, 0755);

	if (result < 0)
		fail("cannot make %s: %s", path.bytes, strerror(-result));
}

/* Where the old /dev is still seen, the hidden things are covered at least. A link there is
 * left: what it leads to is elsewhere. */
static void cover_hidden(const struct dev_plan *plan)
{
	for (size_t i = 0; i < plan->hidden_count; i++) {
		struct text path = path_of("/dev/" OLD_FOLDER, plan->hidden[i]);
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
		return copy_link(PTMX, "/dev/" PTMX);
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
	struct text path = path_of("/dev", name);
	OWN_FD fd = sys_openat(AT_FDCWD, path.bytes, O_PATH | O_CLOEXEC | flags, 0);

	return fd >= 0;
}

/* The working folder is by its path again where /dev was replaced under it. */
static void return_to(const char *path, int folder)
{
	bool was_in_dev = strcmp(path, "/dev") == 0 || strncmp(path, "/dev/", strlen("/dev/")) == 0;

	if (was_in_dev && chdir(path) == 0)
		return;
	if ((was_in_dev ? chdir("/") : fchdir(folder)) < 0)
		fail("cannot return to the working folder: %s", strerror(errno));
}

static void cover(const struct dev_plan *plan)
{
	DIR *old = opendir("/dev");
	mode_t umask_before = umask(0);
	OWN_FD tree = -1;
	int result;

	if (!old || fchdir(dirfd(old)) < 0)
		fail("cannot read /dev: %s", strerror(errno));
	tree = clone_old();
	if (mount("shmemu", "/dev", "tmpfs", MS_NOSUID, "mode=0755") < 0)
		fail("cannot mount a new /dev for this command: %s", strerror(errno));
	copy_entries(old, plan);
	result = copy_ptmx(tree);
	if (result < 0)
		fail("cannot take /dev/ptmx into a /dev of this command's own: %s",
		     strerror(-result));
	cover_hidden(plan);
	if (plan->folder)
		add_folder(plan->folder);
	if (plan->sealed && chmod("/dev", 0555) < 0)
		fail("cannot seal the new /dev: %s", strerror(errno));
	umask(umask_before);
	closedir(old);
}

void dev_cover(const struct dev_plan *plan)
{
	char path[PATH_MAX] = "";
	OWN_FD folder = sys_openat(AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);

	if (!getcwd(path, sizeof path))
		path[0] = '\0';
	cover(plan);
	return_to(path, folder);
}
