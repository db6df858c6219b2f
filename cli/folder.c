/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An ordinary user's folder is closed to all others (0700). Root's can't be: a command that
 * root starts may become another user (shmemu run -- shmemu without lambda -- COMMAND) and
 * must still find its daemon. There the meeting place is a folder in the folder, open to all
 * who know its name, and nobody can guess or list that. */
#include "cli/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/say.h"

enum { DEPTH_MAX = 16 };

static struct text make_outer(void)
{
	const char *tmpdir = getenv("TMPDIR");
	char parent[PATH_MAX];
	struct text path = TEXT_NULL;

	if (!tmpdir || !tmpdir[0])
		tmpdir = "/tmp";
	/* COMMAND may go to another folder, and so may its children. */
	if (!realpath(tmpdir, parent))
		fail("cannot use %s for the private folder: %s; set TMPDIR to another", tmpdir,
		     strerror(errno));
	text_string(&path, parent);
	text_string(&path, "/shmemu-run-XXXXXX");
	if (path.cut)
		fail("cannot use %s for the private folder: its path is too long; set TMPDIR to "
		     "another", tmpdir);
	if (!mkdtemp(path.bytes))
		fail("cannot make a private folder in %s: %s; set TMPDIR to another", parent,
		     strerror(errno));
	return path;
}

static struct text make_secret(const struct text *outer)
{
	struct text path = *outer;
	uint8_t secret[16];

	if (getrandom(secret, sizeof secret, 0) != sizeof secret)
		fail("cannot get random bytes: %s", strerror(errno));
	text_string(&path, "/");
	for (size_t i = 0; i < sizeof secret; i++) {
		text_bytes(&path, &"0123456789abcdef"[secret[i] >> 4], 1);
		text_bytes(&path, &"0123456789abcdef"[secret[i] & 15], 1);
	}
	/* mkdir's mode is under the umask. */
	if (path.cut || mkdir(path.bytes, 0700) < 0 || chmod(path.bytes, 0755) < 0 ||
	    chmod(outer->bytes, 0711) < 0) {
		rmdir(path.bytes);
		rmdir(outer->bytes);
		fail("cannot make a private folder in %s: %s", outer->bytes, strerror(errno));
	}
	return path;
}

void folder_make(struct folder *ret_folder)
{
	ret_folder->outer = make_outer();
	ret_folder->place = geteuid() == 0 ? make_secret(&ret_folder->outer) : ret_folder->outer;
}

/* The daemon's files, and what one that was killed has left in its folder "nodes". Takes the
 * descriptor. Links are not followed. */
static void empty(int fd, int depth)
{
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!folder && fd >= 0)
		close(fd);
	while (folder && (entry = readdir(folder))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    unlinkat(dirfd(folder), entry->d_name, 0) == 0 || !depth)
			continue;
		empty(openat(dirfd(folder), entry->d_name,
		             O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), depth - 1);
		unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR);
	}
	if (folder)
		closedir(folder);
}

void folder_remove(const struct folder *folder)
{
	empty(open(folder->place.bytes, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
	      DEPTH_MAX);
	rmdir(folder->place.bytes);
	if (rmdir(folder->outer.bytes) < 0 && errno != ENOENT)
		say("cannot remove the private folder %s: %s", folder->outer.bytes,
		    strerror(errno));
}
