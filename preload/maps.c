/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mmap. The kernel maps all but one thing: shared, a file on a mount of ours without passthrough.
 * Whoever has that open is given the file behind it. */
#include <sys/mman.h>

#include "base/own.h"
#include "base/token.h"
#include "preload/ask.h"
#include "preload/export.h"
#include "preload/real.h"

/* Which memory allocators call before there is anything else, and while dlsym calls them. */
static long map(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	const struct real *real = real_if_ready();
	void *mapped;

	if (!real)
		return sys_call(SYS_mmap, (long)address, (long)length, protection, flags, fd,
		                offset);
	mapped = real->mmap(address, length, protection, flags, fd, offset);
	return mapped == MAP_FAILED ? -errno : (long)mapped;
}

enum { TRADES_MAX = 20 };

/* The file behind an open one at the mount, owned by the caller; or -errno: -ENOENT when nobody
 * knows the token. */
static int trade_once(int fd)
{
	struct wire_request request = wire_request_make(WIRE_TRADE);
	struct client_answer answer;
	uint64_t token[2];
	int result = (int)sys_call(SYS_ioctl, fd, (long)SHMEMU_IOC_TOKEN, (long)token, 0, 0, 0);

	if (result < 0)
		return result;
	request.ino = token[0];
	request.cursor = token[1];
	result = ask(&request, &answer);
	return result < 0 ? result : answer.fd;
}

/* A token ends with the worker that gave it: then the next one gives another. */
static int trade(int fd)
{
	int file = -ENOENT;

	for (int i = 0; file == -ENOENT && i < TRADES_MAX; i++)
		file = trade_once(fd);
	return file;
}

static bool is_shared(int flags)
{
	return (flags & MAP_TYPE) == MAP_SHARED || (flags & MAP_TYPE) == MAP_SHARED_VALIDATE;
}

EXPORT void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	int before = errno;
	long result = map(addr, length, prot, flags, fd, offset);

	if (result == -ENODEV && is_shared(flags) && fd >= 0) {
		OWN_FD file = trade(fd);

		if (file >= 0)
			result = map(addr, length, prot, flags, file, offset);
	}
	errno = before;
	return export_long(sys_is_error((void *)result) ? result : 0) < 0 ? MAP_FAILED :
	                                                                    (void *)result;
}

EXPORT_SAME(mmap64, mmap);
