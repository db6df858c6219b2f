/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/find.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/say.h"

/* From the tool's folder; installed first, then as in a build tree. */
static const char *const daemon_places[] = {"shmfs", "../fuse/shmfs", NULL};
static const char *const library_places[] = {
	SHMEMU_BINDIR_TO_LIBDIR "/libshmemu.so", "../preload/libshmemu.so", NULL,
};

static const char *const tracer_places[] = {
	SHMEMU_BINDIR_TO_LIBDIR "/" FIND_TRACER, "../trace/" FIND_TRACER, NULL,
};

static const char *const shim_places[] = {
	SHMEMU_BINDIR_TO_LIBDIR "/libshmemu-without.so", "../without/libshmemu-without.so", NULL,
};

/* The folder of the running program's file, without a slash at its end. */
static void own_folder(char ret_folder[static PATH_MAX])
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);

	if (length < 0)
		fail("cannot tell where shmemu is installed: /proc/self/exe: %s; is /proc mounted?",
		     strerror(errno));
	path[length] = '\0';
	*strrchr(path, '/') = '\0';
	memcpy(ret_folder, path, strlen(path) + 1);
}

static void find(const char *folder, const char *const *places, const char *what,
                 char ret_path[static PATH_MAX])
{
	char path[2 * PATH_MAX];

	for (size_t i = 0; places[i]; i++) {
		snprintf(path, sizeof path, "%s/%s", places[i][0] == '/' ? "" : folder, places[i]);
		if (realpath(path, ret_path))
			return;
	}
	fail("%s is neither %s/%s nor %s/%s: install it there, beside this tool", what, folder,
	     places[0], folder, places[1]);
}

void find_shim(char ret_path[static PATH_MAX])
{
	char folder[PATH_MAX];

	own_folder(folder);
	find(folder, shim_places, "the shim", ret_path);
	if (strpbrk(ret_path, ": \t\n#"))
		fail("/etc/ld.so.preload can't take the path %s: move shmemu to a folder without "
		     "blanks and colons", ret_path);
}

/* The dynamic loader splits LD_PRELOAD at these, and there is no way to quote them. */
static void check_preload(const char *path)
{
	if (strpbrk(path, ": \t\n"))
		fail("LD_PRELOAD can't take the path %s: move shmemu to a folder without blanks "
		     "and colons", path);
}

void find_tracer(char ret_tracer[static PATH_MAX], char ret_library[static PATH_MAX])
{
	char folder[PATH_MAX];

	own_folder(folder);
	find(folder, tracer_places, "the tracer", ret_tracer);
	find(folder, library_places, "the library", ret_library);
	check_preload(ret_tracer);
	check_preload(ret_library);
}

void find_parts(struct parts *ret_parts)
{
	char folder[PATH_MAX];

	own_folder(folder);
	find(folder, daemon_places, "the daemon", ret_parts->daemon);
	find(folder, library_places, "the library", ret_parts->library);
	check_preload(ret_parts->library);
}

/* Where libraries of both classes lie: ld.so(8) has a word for it. */
#define LOADERS "/$LIB/"
static const struct {
	const char *ours, *others[2];
} classes[] = {
	{"/lib/x86_64-linux-gnu/", {"/lib/i386-linux-gnu/", "/lib32/"}}, /* Debian's */
	{"/lib64/", {"/lib/", NULL}},
};

static bool has_other(const char *prefix, size_t length, const char *const others[static 2],
                      const char *name)
{
	char path[2 * PATH_MAX];

	for (int i = 0; i < 2 && others[i]; i++) {
		snprintf(path, sizeof path, "%.*s%s%s", (int)length, prefix, others[i], name);
		if (access(path, R_OK) == 0)
			return true;
	}
	return false;
}

void find_preload(const struct parts *parts, char ret_preload[static PATH_MAX])
{
	const char *name = strrchr(parts->library, '/') + 1;

	memcpy(ret_preload, parts->library, strlen(parts->library) + 1);
	for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
		size_t size = strlen(classes[i].ours);
		size_t before = (size_t)(name - parts->library);

		if (before < size || strncmp(name - size, classes[i].ours, size) != 0 ||
		    !has_other(parts->library, before - size, classes[i].others, name))
			continue;
		/* Shorter than what it stands for. */
		memcpy(ret_preload + before - size, LOADERS, sizeof LOADERS - 1);
		memmove(ret_preload + before - size + sizeof LOADERS - 1, name,
		        strlen(name) + 1);
		return;
	}
}
