/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All combinations of the flags that change what an open does, in each access mode, on a file
 * that is there and on one that is not, for file modes that allow it or do not. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/probes/probe.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { ACCESS_MODES = 4, SIZE = 100 };

/* Without its O_DIRECTORY: that is asked for on its own. */
static const int flags[] = {O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, O_PATH, O_NOATIME,
                            O_TMPFILE & ~O_DIRECTORY, O_DIRECT};
static const mode_t modes[] = {0600, 0400, 0000};

static int combine(unsigned choice)
{
	int combined = 0;

	for (size_t i = 0; i < COUNT(flags); i++)
		if (choice >> i & 1)
			combined |= flags[i];
	return combined;
}

static void ask(bool exists, mode_t mode, int oflag)
{
	struct stat status = {.st_size = -1};
	int kept = -1;
	int fd;

	if (exists)
		close(make_segment("/flags", mode, SIZE));
	fd = shm_open("/flags", oflag, mode);
	if (fd < 0) {
		say("%s %o, flags %o: %s", exists ? "there" : "new", mode, oflag, outcome(fd));
	} else {
		fstat(fd, &status);
		/* A known difference: a file that is a memfd was opened without O_NOFOLLOW. */
		kept = fcntl(fd, F_GETFL) & ~O_NOFOLLOW;
		say("%s %o, flags %o: mode %o size %ld flags %o", exists ? "there" : "new", mode,
		    oflag, status.st_mode, (long)status.st_size, kept);
		close(fd);
	}
	if (oflag & O_CREAT)
		shm_unlink("/flags");
}

static void body(void)
{
	umask(022);
	for (unsigned choice = 0; choice < 1U << COUNT(flags); choice++)
		for (int access_mode = 0; access_mode < ACCESS_MODES; access_mode++)
			for (size_t i = 0; i < COUNT(modes); i++) {
				int oflag = combine(choice) | access_mode;

				ask(true, modes[i], oflag);
				if (i == 0 || (oflag & O_CREAT)) {
					shm_unlink("/flags");
					ask(false, modes[i], oflag);
				}
			}
	shm_unlink("/flags");
	/* What open(2) ignores. */
	ask(false, 0600, O_CREAT | O_RDWR | O_NONBLOCK | O_SYNC | O_NOCTTY);
	ask(true, 07777, O_RDWR | O_NOFOLLOW | O_DSYNC | O_ASYNC);
	shm_unlink("/flags");
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
