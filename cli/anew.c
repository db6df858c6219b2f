/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/anew.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/say.h"

/* By the kernel's own calls: libshmemu.so may be loaded into this tool, and would look for what is
 * in /dev/shm in its store, and make it there. */

enum { LINK_SIZE = 4096 };

struct text anew_path(const char *folder, const char *name)
{
	struct text path = TEXT_NULL;

	text_string(&path, folder);
	text_string(&path, "/");
	text_string(&path, name);
	return path;
}

int anew_copy_link(const char *name, const char *target)
{
	char link[LINK_SIZE];
	long length = sys_call(SYS_readlinkat, AT_FDCWD, (long)name, (long)link, sizeof link - 1, 0,
	                       0);

	if (length < 0)
		return (int)length;
	link[length] = '\0';
	return (int)sys_call(SYS_symlinkat, (long)link, AT_FDCWD, (long)target, 0, 0, 0);
}

void anew_begin(struct anew *anew, const char *path)
{
	struct stat status;

	*anew = (struct anew){.path = path};
	anew->before = sys_openat(AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	if (!getcwd(anew->before_path, sizeof anew->before_path))
		anew->before_path[0] = '\0';
	anew->old = opendir(path);
	if (!anew->old || fchdir(dirfd(anew->old)) < 0 || fstat(dirfd(anew->old), &status) < 0)
		fail("cannot read %s: %s", path, strerror(errno));
	anew->mode = status.st_mode & 07777;
	anew->umask_before = umask(0);
}

void anew_cover(const struct anew *anew, unsigned long flags)
{
	if (mount("shmemu", anew->path, "tmpfs", flags, "mode=0755") < 0)
		fail("cannot mount a new %s for this command: %s", anew->path, strerror(errno));
}

static int make_mount_point(const char *path, mode_t mode)
{
	OWN_FD fd = -1;

	if (S_ISDIR(mode))
		return sys_mkdirat(AT_FDCWD, path, 0755);
	fd = sys_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	return fd < 0 ? fd : 0;
}

/* From the old folder, the working folder, to the new, which has the path. */
static int copy_entry(const struct anew *anew, const char *name)
{
	struct text source = anew_path(".", name), target = anew_path(anew->path, name);
	OWN_FD entry = sys_openat(AT_FDCWD, source.bytes, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
	struct stat status;
	int result = entry < 0 ? entry : sys_fstat(entry, &status);

	if (result < 0)
		return result;
	if (S_ISLNK(status.st_mode))
		return anew_copy_link(source.bytes, target.bytes);
	result = make_mount_point(target.bytes, status.st_mode);
	if (result < 0)
		return result;
	return mount(source.bytes, target.bytes, NULL, MS_BIND | MS_REC, NULL) < 0 ? -errno : 0;
}

void anew_copy(const struct anew *anew, bool (*is_left_out)(const void *context, const char *name),
               const void *context)
{
	const struct dirent *entry;
	int result;

	while ((entry = readdir(anew->old))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (is_left_out(context, entry->d_name))
			continue;
		result = copy_entry(anew, entry->d_name);
		/* Devices come and go, and files too. */
		if (result < 0 && result != -ENOENT)
			fail("cannot bind %s/%s into a %s of this command's own: %s", anew->path,
			     entry->d_name, anew->path, strerror(-result));
	}
}

/* The working folder is by its path again where it was replaced underneath. */
static void return_to(const struct anew *anew)
{
	size_t length = strlen(anew->path);
	const char *path = anew->before_path;
	bool was_inside = strncmp(path, anew->path, length) == 0 && strchr("/", path[length]);

	if (was_inside && chdir(path) == 0)
		return;
	if ((was_inside ? chdir("/") : fchdir(anew->before)) < 0)
		fail("cannot return to the working folder: %s", strerror(errno));
}

void anew_leave(struct anew *anew)
{
	umask(anew->umask_before);
	closedir(anew->old);
	return_to(anew);
	fd_close_at(&anew->before);
}

void anew_end(struct anew *anew, bool sealed)
{
	mode_t mode = sealed ? anew->mode & ~(mode_t)0222 : anew->mode;

	if (chmod(anew->path, mode) < 0)
		fail("cannot seal the new %s: %s", anew->path, strerror(errno));
	anew_leave(anew);
}
