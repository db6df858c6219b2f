/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The same random sizes and rooms with and without the calls for them: the same files. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuse/extent.h"
#include "tests/unit/deprive.h"

enum { SIZE_MAX_TRIED = 1 << 18, STEPS = 2000 };

static char *read_all(int fd, off_t *ret_size)
{
	struct stat status;
	char *bytes;

	cr_assert_eq(fstat(fd, &status), 0);
	bytes = malloc((size_t)status.st_size + 1);
	cr_assert_eq(pread(fd, bytes, (size_t)status.st_size, 0), status.st_size);
	*ret_size = status.st_size;
	return bytes;
}

static void expect_same(int left, int right)
{
	off_t sizes[2];
	char *bytes[2] = {read_all(left, &sizes[0]), read_all(right, &sizes[1])};

	cr_assert_eq(sizes[0], sizes[1]);
	cr_assert_eq(memcmp(bytes[0], bytes[1], (size_t)sizes[0]), 0);
	free(bytes[0]);
	free(bytes[1]);
}

static int change(int fd, int what, off_t offset, off_t size)
{
	static const int modes[] = {0, FALLOC_FL_KEEP_SIZE,
	                            FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
	                            FALLOC_FL_ZERO_RANGE};

	if (what == 4)
		return extent_set_size(fd, size);
	if (what == 5)
		return pwrite(fd, "bytes", 5, offset) == 5 ? 0 : -errno;
	return extent_allocate(fd, modes[what], offset, size);
}

static void compare(unsigned lacks, bool may_shrink)
{
	int files[2] = {memfd_create("native", 0), memfd_create("deprived", 0)};
	unsigned seed = 1;

	cr_assert_eq(fchmod(files[1], 0400), 0);
	for (int i = 0; i < STEPS; i++) {
		int what = rand_r(&seed) % 6;
		off_t offset = rand_r(&seed) % SIZE_MAX_TRIED;
		off_t size = 1 + rand_r(&seed) % SIZE_MAX_TRIED;
		struct stat status;
		int expected;

		cr_assert_eq(fstat(files[0], &status), 0);
		if (what == 4 && size < status.st_size && !may_shrink)
			size = 0;
		/* Room beyond the end only the call can give. */
		if (what == 1 && offset + size > status.st_size)
			continue;
		deprived = 0;
		expected = change(files[0], what, offset, size);
		deprived = lacks;
		cr_assert_eq(change(files[1], what, offset, size), expected, "step %d: %d", i,
		             what);
		deprived = 0;
		expect_same(files[0], files[1]);
	}
	cr_assert_eq(fstat(files[1], &(struct stat){0}), 0);
	close(files[0]);
	close(files[1]);
}

Test(extent, without_ftruncate) { compare(DEPRIVE_FTRUNCATE, true); }
Test(extent, without_fallocate) { compare(DEPRIVE_FALLOCATE, true); }
Test(extent, without_all) { compare(DEPRIVE_FTRUNCATE | DEPRIVE_FALLOCATE, true); }

Test(extent, without_truncate_too)
{
	compare(DEPRIVE_FTRUNCATE | DEPRIVE_TRUNCATE | DEPRIVE_FALLOCATE, false);
}

/* Room that is asked for is had: all pages are there. */
Test(extent, pages_are_there)
{
	int file = memfd_create("room", 0);
	struct stat status;

	deprived = DEPRIVE_FALLOCATE | DEPRIVE_FTRUNCATE;
	cr_assert_eq(pwrite(file, "x", 1, 100000), 1);
	cr_assert_eq(extent_allocate(file, 0, 5000, 300000), 0);
	cr_assert_eq(fstat(file, &status), 0);
	cr_expect_eq(status.st_size, 305000);
	cr_expect_geq(status.st_blocks * 512, 300000);
	close(file);
}

Test(extent, seals_are_kept)
{
	int file = memfd_create("sealed", MFD_ALLOW_SEALING);

	deprived = 0;
	cr_assert_eq(ftruncate(file, 4096), 0);
	cr_assert_eq(fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	deprived = DEPRIVE_FALLOCATE | DEPRIVE_FTRUNCATE | DEPRIVE_TRUNCATE;
	cr_expect_eq(extent_set_size(file, 8192), -EPERM);
	cr_expect_eq(extent_set_size(file, 100), -EPERM);
	cr_expect_eq(extent_set_size(file, 0), -EPERM);
	cr_expect_eq(extent_allocate(file, 0, 0, 8192), -EPERM);
	close(file);
}
