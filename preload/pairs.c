/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls on two paths: link and rename. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "preload/export.h"
#include "preload/paths.h"
#include "preload/real.h"
#include "preload/way.h"

/* A path without the slashes at its end. False: it is too long. */
static bool strip(const char *path, char ret_path[static PATH_MAX])
{
	size_t length = strnlen(path, PATH_MAX);

	if (length == PATH_MAX)
		return false;
	while (length > 1 && path[length - 1] == '/')
		length--;
	memcpy(ret_path, path, length);
	ret_path[length] = '\0';
	return true;
}

/* The error of the folder that a path's last name is in, or 0. */
static int check_parent(int dirfd, const char *path)
{
	char parent[PATH_MAX];
	struct stat status;
	char *slash;

	if (!*path)
		return -ENOENT;
	if (!strip(path, parent))
		return -ENAMETOOLONG;
	slash = strrchr(parent, '/');
	/* It must be a folder, and grant search. */
	strcpy(slash ? slash + 1 : parent, ".");
	return path_stat(dirfd, parent, &status, 0);
}

/* What lstat says of a path without the slashes at its end. */
static int check_name(int dirfd, const char *path)
{
	char name[PATH_MAX];
	struct stat status;

	return strip(path, name) ? path_stat(dirfd, name, &status, AT_SYMLINK_NOFOLLOW) :
	                           -ENAMETOOLONG;
}

static long link_natively(const struct errand_two *errand, const int dirfds[2],
                          const char *const paths[2])
{
	const int *flags = errand->details;

	return way_result(
		REAL(linkat)(dirfds[0], paths[0], dirfds[1], paths[1], *flags));
}

static long link_served(const struct errand_two *errand, struct way *way)
{
	const int *flags = errand->details;
	struct wire_request request = wire_request_make(WIRE_LINK);
	struct client_answer answer;

	request.flags = *flags & AT_SYMLINK_FOLLOW ? WIRE_FOLLOW : 0;
	return way_ask(way, &request, &answer);
}

/* A link to what a descriptor has open. */
struct file_link {
	int dirfd;
	const char *path;
	int flags;
	int fd; /* the same, as a number */
};

static long link_file_natively(const struct errand *errand, int dirfd, const char *path,
                               bool nofollow)
{
	const struct file_link *link = errand->details;

	return way_result(REAL(linkat)(link->dirfd, link->path, dirfd, path, link->flags));
}

static long link_file_served(const struct errand *errand, struct way *way)
{
	const struct file_link *link = errand->details;
	struct wire_request request = wire_request_make(WIRE_LINK_FILE);
	struct client_answer answer;
	long result;

	way->file = &link->fd;
	result = way_ask(way, &request, &answer);
	way->file = NULL;
	return result;
}

/* Does the old path name an open file, and no folder of ours, by its number? That, or -1. */
static int named_descriptor(int dirfd, const char *path, int flags)
{
	static const char *const folders[] = {"/proc/self/fd/", "/proc/thread-self/fd/",
	                                      "/dev/fd/"};
	struct wire_base base;

	if ((flags & AT_EMPTY_PATH) && !*path)
		return way_base_of(dirfd, &base) ? -1 : dirfd;
	for (size_t i = 0; (flags & AT_SYMLINK_FOLLOW) && i < sizeof folders / sizeof folders[0];
	     i++) {
		const char *at = path + strlen(folders[i]);
		int number = 0;

		if (strncmp(path, folders[i], strlen(folders[i])) != 0 || !*at)
			continue;
		for (; *at >= '0' && *at <= '9' && number < INT_MAX / 16; at++)
			number = number * 10 + (*at - '0');
		return *at ? -1 : number;
	}
	return -1;
}

static int emu_link_file(int dirfd, const char *path, int new_dirfd, const char *new_path,
                         int flags)
{
	struct file_link link = {dirfd, path, flags, named_descriptor(dirfd, path, flags)};

	return (int)way_go(new_dirfd, new_path, &(struct errand){
		.natively = link_file_natively,
		.served = link_file_served,
		.nofollow = true,
		.details = &link,
	});
}

/* What the kernel says before it sees that the two are on different filesystems. */
static int explain_link(const int dirfds[2], const char *const paths[2], int flags)
{
	int nofollow = flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW;
	struct wire_base base;
	struct stat status;
	int result = path_stat(dirfds[0], paths[0], &status, nofollow | (flags & AT_EMPTY_PATH));

	if (result < 0)
		return result;
	result = check_name(dirfds[1], paths[1]);
	if (result != -ENOENT)
		return result == 0 ? -EEXIST : result;
	result = check_parent(dirfds[1], paths[1]);
	if (result == 0 && paths[1][strlen(paths[1]) - 1] == '/')
		return -ENOENT;
	if (result == 0 && !*paths[0] && way_base_of(dirfds[0], &base))
		return -EPERM;
	return result < 0 ? result : -EXDEV;
}

static int explain_rename(const int dirfds[2], const char *const paths[2])
{
	int result = check_parent(dirfds[0], paths[0]);

	if (result == 0)
		result = check_parent(dirfds[1], paths[1]);
	return result < 0 ? result : -EXDEV;
}

static int emu_link(int dirfd, const char *path, int new_dirfd, const char *new_path, int flags)
{
	const int dirfds[2] = {dirfd, new_dirfd};
	const char *const paths[2] = {path, new_path};
	int result;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (named_descriptor(dirfd, path, flags) >= 0)
		result = emu_link_file(dirfd, path, new_dirfd, new_path, flags);
	else
		result = (int)way_go_two(dirfds, paths, &(struct errand_two){
			.natively = link_natively,
			.served = link_served,
			.follow = flags & AT_SYMLINK_FOLLOW,
			.details = &flags,
		});
	return result == -EXDEV ? explain_link(dirfds, paths, flags) : result;
}

static bool are_foreign(int dirfd, const char *path, int new_dirfd, const char *new_path)
{
	return way_is_foreign(dirfd, path) && way_is_foreign(new_dirfd, new_path);
}

EXPORT int link(const char *oldpath, const char *newpath)
{
	if (are_foreign(AT_FDCWD, oldpath, AT_FDCWD, newpath))
		return REAL(link)(oldpath, newpath);
	return export_named("link", newpath, emu_link(AT_FDCWD, oldpath, AT_FDCWD, newpath, 0));
}

EXPORT int linkat(int olddirfd, const char *oldpath, int newdirfd, const char *newpath, int flags)
{
	if (are_foreign(olddirfd, oldpath, newdirfd, newpath))
		return REAL(linkat)(olddirfd, oldpath, newdirfd, newpath, flags);
	return export_named("linkat", newpath,
	                    emu_link(olddirfd, oldpath, newdirfd, newpath, flags));
}

static long rename_natively(const struct errand_two *errand, const int dirfds[2],
                            const char *const paths[2])
{
	const unsigned *flags = errand->details;

	return way_result(
		REAL(renameat2)(dirfds[0], paths[0], dirfds[1], paths[1], *flags));
}

static long rename_served(const struct errand_two *errand, struct way *way)
{
	const unsigned *flags = errand->details;
	struct wire_request request = wire_request_make(WIRE_RENAME);
	struct client_answer answer;

	/* The root's own name is in a folder of the host's. */
	if (!*way->path != !*way->other->path)
		return -EXDEV;
	if (!*way->path)
		return *flags & RENAME_NOREPLACE ? -EEXIST : 0;
	request.flags = *flags;
	return way_ask(way, &request, &answer);
}

static int emu_rename(int dirfd, const char *path, int new_dirfd, const char *new_path,
                      unsigned flags)
{
	const int dirfds[2] = {dirfd, new_dirfd};
	const char *const paths[2] = {path, new_path};
	int result;

	if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) ||
	    ((flags & RENAME_EXCHANGE) && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT))))
		return -EINVAL;
	result = (int)way_go_two(dirfds, paths, &(struct errand_two){
		.natively = rename_natively, .served = rename_served, .details = &flags,
	});
	return result == -EXDEV ? explain_rename(dirfds, paths) : result;
}

EXPORT int rename(const char *oldpath, const char *newpath)
{
	if (are_foreign(AT_FDCWD, oldpath, AT_FDCWD, newpath))
		return REAL(rename)(oldpath, newpath);
	return export_named("rename", oldpath,
	                    emu_rename(AT_FDCWD, oldpath, AT_FDCWD, newpath, 0));
}

EXPORT int renameat(int olddirfd, const char *oldpath, int newdirfd, const char *newpath)
{
	if (are_foreign(olddirfd, oldpath, newdirfd, newpath))
		return REAL(renameat)(olddirfd, oldpath, newdirfd, newpath);
	return export_named("renameat", oldpath,
	                    emu_rename(olddirfd, oldpath, newdirfd, newpath, 0));
}

EXPORT int renameat2(int olddirfd, const char *oldpath, int newdirfd, const char *newpath,
                     unsigned flags)
{
	if (are_foreign(olddirfd, oldpath, newdirfd, newpath))
		return REAL(renameat2)(olddirfd, oldpath, newdirfd, newpath, flags);
	return export_named("renameat2", oldpath,
	                    emu_rename(olddirfd, oldpath, newdirfd, newpath, flags));
}
