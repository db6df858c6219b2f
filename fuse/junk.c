/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whoever has made it may go on while we look, and move folders about: so what lies deep is first
 * brought up, and nothing depends on where a folder is. */
#include "fuse/junk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEPS_MAX = 4096 };

struct clearing {
	int top;             /* the folder that is to be empty; borrowed */
	unsigned steps_left; /* things that may still be looked at */
	unsigned moved;
	bool gets_on;
};

static DIR *open_folder(int folder, const char *name)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int file = openat(folder, name, flags);
	DIR *stream;

	if (file < 0 && errno == EACCES && fchmodat(folder, name, 0700, 0) == 0)
		file = openat(folder, name, flags);
	stream = file < 0 ? NULL : fdopendir(file);
	if (!stream && file >= 0)
		close(file);
	return stream;
}

static const char *next_name(DIR *stream)
{
	const struct dirent *entry;

	do
		entry = readdir(stream);
	while (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
	return entry ? entry->d_name : NULL;
}

static bool remove_one(int folder, const char *name)
{
	return unlinkat(folder, name, 0) == 0 || unlinkat(folder, name, AT_REMOVEDIR) == 0;
}

/* A name that is taken by something that can't be replaced is passed over. */
static bool bring_up(struct clearing *clearing, int folder, const char *name)
{
	char above[32];

	snprintf(above, sizeof above, "%u.%u", (unsigned)getpid(), clearing->moved++);
	return renameat(folder, name, clearing->top, above) == 0;
}

static bool may_go_on(struct clearing *clearing)
{
	return clearing->steps_left && clearing->steps_left--;
}

/* Takes what is in a folder away or up. */
static void open_up(struct clearing *clearing, const char *name)
{
	DIR *stream = open_folder(clearing->top, name);
	const char *below;

	if (!stream)
		return;
	while ((below = next_name(stream)) && may_go_on(clearing))
		if (remove_one(dirfd(stream), below) ||
		    bring_up(clearing, dirfd(stream), below))
			clearing->gets_on = true;
	closedir(stream);
}

/* Returns whether nothing was found. */
static bool clear_once(struct clearing *clearing)
{
	DIR *stream = open_folder(clearing->top, ".");
	const char *name;
	bool empty = true;

	if (!stream)
		return true;
	while ((name = next_name(stream)) && may_go_on(clearing)) {
		empty = false;
		if (remove_one(clearing->top, name))
			clearing->gets_on = true;
		else
			open_up(clearing, name);
	}
	closedir(stream);
	return empty && !name;
}

int junk_clear(int folder, const char *name)
{
	struct clearing clearing = {.steps_left = STEPS_MAX};
	bool empty = false;

	clearing.top = openat(folder, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (clearing.top < 0)
		return 0;
	do {
		clearing.gets_on = false;
		empty = clear_once(&clearing);
	} while (clearing.gets_on && clearing.steps_left);
	close(clearing.top);
	if (empty)
		return 0;
	return clearing.steps_left ? -EBUSY : -ENOTEMPTY;
}
