/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Not a question but a sign: tells which world this is, and leaves a segment and a semaphore behind
 * for the test to find. */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/probes/probe.h"

static bool library_is_there(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[4400];
	bool is_there = false;

	must(maps != NULL);
	while (fgets(line, sizeof line, maps))
		is_there |= strstr(line, "libshmemu.so") != NULL;
	fclose(maps);
	return is_there;
}

static void body(void)
{
	/* The kernel is asked, not the library. */
	long shm = syscall(SYS_faccessat, AT_FDCWD, "/dev/shm", F_OK);

	say("/dev/shm: %s", outcome(shm));
	say("uid %u", geteuid());
	say("library: %s", library_is_there() ? "yes" : "no");
	make_segment("/witness", 0600, 4097);
	must(sem_open("/witness", O_CREAT | O_EXCL, 0600, 1) != SEM_FAILED);
	must(close(open("/dev/shm/witness-path", O_RDWR | O_CREAT | O_EXCL, 0600)) == 0);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
