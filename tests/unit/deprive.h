/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A host that refuses the daemon's own calls. By the linker (--wrap): the code under test has
 * nothing for it. Which, SHMEMU_TEST_DEPRIVED says in words, or a test. */
#ifndef SHMEMU_TESTS_UNIT_DEPRIVE_H
#define SHMEMU_TESTS_UNIT_DEPRIVE_H

enum {
	DEPRIVE_MMAP = 1 << 0, /* shared, of a file */
	DEPRIVE_MREMAP = 1 << 1,
	DEPRIVE_MUNMAP = 1 << 2,
	DEPRIVE_MADVISE = 1 << 3,
	DEPRIVE_FTRUNCATE = 1 << 4,
	DEPRIVE_TRUNCATE = 1 << 5,
	DEPRIVE_FALLOCATE = 1 << 6,
};

extern unsigned deprived;

#endif
