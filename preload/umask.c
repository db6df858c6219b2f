/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/umask.h"

#include <string.h>

#include "base/own.h"

/* umask(2) can only be read by setting it, and then a file that another thread makes meanwhile
 * gets the wrong mode.  /proc/self/status has it on its second line (Linux 4.7). */
static int read_from_proc(void)
{
	OWN_FD status = sys_openat(AT_FDCWD, "/proc/thread-self/status", O_RDONLY | O_CLOEXEC, 0);
	char text[128];
	ssize_t size = status < 0 ? status : sys_read(status, text, sizeof text - 1);
	const char *digit;
	int mask = 0;

	if (size <= 0)
		return -ENOENT;
	text[size] = '\0';
	digit = strstr(text, "\nUmask:\t");
	if (!digit)
		return -ENOENT;
	for (digit += strlen("\nUmask:\t"); *digit >= '0' && *digit <= '7'; digit++)
		mask = mask * 8 + (*digit - '0');
	return mask;
}

mode_t umask_read(void)
{
	int mask = read_from_proc();

	if (mask < 0) {
		/* Meanwhile too strict does less harm than too lax. */
		mask = (int)sys_call(SYS_umask, 077, 0, 0, 0, 0, 0);
		sys_call(SYS_umask, mask, 0, 0, 0, 0, 0);
	}
	return (mode_t)mask;
}
