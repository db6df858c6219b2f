/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of memfd_create that can be sealed, and what seals refuse: the kernel alone gives these. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/probes/mapping.h"

static void ask_new(const char *what, const char *name, unsigned flags)
{
	int fd = memfd_create(name, flags);
	struct stat status;

	tell("%s: %s", what, outcome(fd));
	if (fd < 0)
		return;
	must(fstat(fd, &status) == 0);
	tell("mode %o, size %ld, links %ld", status.st_mode, (long)status.st_size,
	     (long)status.st_nlink);
	tell("descriptor %d, access %o, seals %d", fcntl(fd, F_GETFD),
	     fcntl(fd, F_GETFL) & O_ACCMODE, fcntl(fd, F_GET_SEALS));
	close(fd);
}

static void ask_memfds(enum mapping_kind kind)
{
	(void)kind;
	ask_new("ALLOW_SEALING", "x", MFD_ALLOW_SEALING);
	ask_new("both", "x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ask_new("NOEXEC_SEAL", "x", 8);
	ask_new("neither", "x", 0);
}

/* Seals, and the mappings that they refuse. */
static void ask_seals(enum mapping_kind kind)
{
	int fd = memfd_create("sealed", MFD_ALLOW_SEALING);
	char *memory;

	(void)kind;
	must(ftruncate(fd, 2L * PAGE) == 0);
	memory = map(fd, PAGE, READ_WRITE, MAP_SHARED);
	ask(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
	ask(ftruncate(fd, PAGE));
	ask(ftruncate(fd, 3L * PAGE));
	ask(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	ask(ftruncate(fd, 4L * PAGE));
	ask(fallocate(fd, 0, 0, 4L * PAGE));
	ask(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE));
	ask(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	must(munmap(memory, PAGE) == 0);
	ask(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	tell("to write: %s", outcome(map(fd, PAGE, READ_WRITE, MAP_SHARED) ? 0 : -1));
	memory = map(fd, PAGE, PROT_READ, MAP_SHARED);
	tell("to read: %s", outcome(memory ? 0 : -1));
	tell("privately: %s", outcome(map(fd, PAGE, READ_WRITE, MAP_PRIVATE) ? 0 : -1));
	ask(mprotect(memory, PAGE, READ_WRITE));
	ask(pwrite(fd, "x", 1, 0));
	ask(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE));
	ask(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
	ask(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	tell("seals: %d", fcntl(fd, F_GET_SEALS));
}

static const struct mapping_group groups[] = {
	{"memfd_create", ask_memfds},
	{"seals", ask_seals},
	{NULL, NULL},
};

static void body(void)
{
	mapping_run_once(groups);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
