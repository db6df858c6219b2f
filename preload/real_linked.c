/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In a program that has the library linked in, for real.c. */
#include "preload/real.h"

#include <limits.h>
#include <sys/auxv.h>

#include "base/sys.h"

/* The library is not there as a file, and the program may have been moved, with shmfs: that is
 * looked for beside it first, and then where it was installed. But anybody can put a link to a
 * setuid program beside a shmfs of their own. */
const char *real_library(void)
{
	static char path[PATH_MAX];
	long length = 0;

	if (!getauxval(AT_SECURE))
		length = sys_call(SYS_readlinkat, AT_FDCWD, (long)"/proc/self/exe", (long)path,
		                  sizeof path - 1, 0, 0);
	return length > 0 ? path : "/";
}
