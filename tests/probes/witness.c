/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Not a question but a sign: tells which world this is, and leaves a segment and a semaphore behind
 * for the test to find. */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/probes/probe.h"

static void body(void)
{
	int shm = access("/dev/shm", F_OK);

	say("/dev/shm: %s", outcome(shm));
	say("uid %u", geteuid());
	make_segment("/witness", 0600, 4097);
	must(sem_open("/witness", O_CREAT | O_EXCL, 0600, 1) != SEM_FAILED);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
