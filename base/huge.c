/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/huge.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/sys.h"

static const char *const words[HUGE_COUNT] = {
	[HUGE_DEFAULT] = "within_size",
	[HUGE_NEVER] = "never",
	[HUGE_WITHIN_SIZE] = "within_size",
	[HUGE_ADVISE] = "advise",
	[HUGE_ALWAYS] = "always",
};

int huge_parse(const char *word, enum huge *ret_huge)
{
	for (int huge = HUGE_NEVER; huge < HUGE_COUNT; huge++) {
		if (strcmp(word, words[huge]) == 0) {
			*ret_huge = (enum huge)huge;
			return 0;
		}
	}
	return -EINVAL;
}

const char *huge_word(enum huge huge)
{
	return words[huge];
}

int huge_is_given(int file)
{
	enum { LARGEST_PAGE = 1 << 16 }; /* that any kernel has */
	static const long large = 1L << 30; /* as a huge page of any kernel, and takes no room */
	struct stat status;
	int result = sys_ftruncate(file, large);

	if (result == 0)
		result = sys_fstat(file, &status);
	/* The kernel tells it by this. */
	return result < 0 ? result : status.st_blksize > LARGEST_PAGE;
}
