/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/deprive.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>

unsigned deprived;

__attribute__((constructor)) static void begin(void)
{
	static const char *const words[] = {
		"mmap", "mremap", "munmap", "madvise", "ftruncate", "truncate", "fallocate",
	};
	const char *wanted = getenv("SHMEMU_TEST_DEPRIVED");
	char *copy = wanted ? strdup(wanted) : NULL;

	for (char *word = copy ? strtok(copy, " ") : NULL; word; word = strtok(NULL, " "))
		for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
			if (strcmp(word, words[i]) == 0)
				deprived |= 1U << i;
	free(copy);
}

/* What the linker makes of a call, and what of the function itself. */
#define REFUSABLE(result, name, parameters)                                                        \
	result __real_##name parameters;                                                           \
	result __wrap_##name parameters;                                                           \
	result __wrap_##name parameters

static int refuse(int error)
{
	errno = error;
	return -1;
}

REFUSABLE(void *, mmap64, (void *address, size_t size, int protection, int flags, int fd,
                           off_t offset))
{
	if ((deprived & DEPRIVE_MMAP) && (flags & MAP_TYPE) == MAP_SHARED && fd >= 0)
		return refuse(ENODEV), MAP_FAILED;
	return __real_mmap64(address, size, protection, flags, fd, offset);
}

REFUSABLE(int, munmap, (void *address, size_t size))
{
	return deprived & DEPRIVE_MUNMAP ? refuse(ENOSYS) : __real_munmap(address, size);
}

REFUSABLE(int, madvise, (void *address, size_t size, int advice))
{
	return deprived & DEPRIVE_MADVISE ? refuse(ENOSYS) : __real_madvise(address, size, advice);
}

REFUSABLE(int, ftruncate64, (int fd, off_t size))
{
	return deprived & DEPRIVE_FTRUNCATE ? refuse(EPERM) : __real_ftruncate64(fd, size);
}

REFUSABLE(int, truncate64, (const char *path, off_t size))
{
	return deprived & DEPRIVE_TRUNCATE ? refuse(ENOSYS) : __real_truncate64(path, size);
}

REFUSABLE(int, fallocate64, (int fd, int mode, off_t offset, off_t size))
{
	return deprived & DEPRIVE_FALLOCATE ? refuse(ENOSYS) :
	                                      __real_fallocate64(fd, mode, offset, size);
}

/* Nobody names a new address. */
void *__real_mremap(void *address, size_t size, size_t new_size, int flags, ...);
void *__wrap_mremap(void *address, size_t size, size_t new_size, int flags);
void *__wrap_mremap(void *address, size_t size, size_t new_size, int flags)
{
	if (deprived & DEPRIVE_MREMAP)
		return refuse(ENOSYS), MAP_FAILED;
	return __real_mremap(address, size, new_size, flags);
}
