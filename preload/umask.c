/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* umask(2) can only be read by setting it, and then a file that another thread makes meanwhile
 * gets the wrong mode. Without another thread, and with signals blocked, there is nobody to make
 * one; else /proc has it (Linux 4.7), for ten times the price. */
#include "preload/umask.h"

#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "base/own.h"

/* libc's, from 2.32 on. */
extern const char __libc_single_threaded __attribute__((weak));

static bool is_alone(void)
{
	return &__libc_single_threaded && __libc_single_threaded;
}

/* Meanwhile too strict does less harm than too lax. */
static mode_t read_by_setting(void)
{
	mode_t mask = (mode_t)sys_call(SYS_umask, 077, 0, 0, 0, 0, 0);

	sys_call(SYS_umask, mask, 0, 0, 0, 0, 0);
	return mask;
}

static mode_t read_alone(void)
{
	const uint64_t all = UINT64_MAX;
	uint64_t before;
	mode_t mask;

	sys_sigmask(SIG_SETMASK, &all, &before);
	mask = read_by_setting();
	sys_sigmask(SIG_SETMASK, &before, NULL);
	return mask;
}

/* It is on the second line. */
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
	int mask;

	if (is_alone())
		return read_alone();
	mask = read_from_proc();
	return mask < 0 ? read_by_setting() : (mode_t)mask;
}
