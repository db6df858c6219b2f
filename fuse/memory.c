/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's own estimate, which counts what caches would give up: sysinfo(2) does not have
 * it. */
#include "fuse/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"

/* Both lines are among the first three. */
enum { MEMINFO_SIZE = 512 };

static int parse_kilobytes(const char *meminfo, const char *key, uint64_t *ret_bytes)
{
	const char *line = strstr(meminfo, key);

	if (!line)
		return -ENODATA;
	*ret_bytes = strtoull(line + strlen(key), NULL, 10) * 1024;
	return 0;
}

int memory_read(struct memory *ret_memory)
{
	OWN_FD file = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	char text[MEMINFO_SIZE];
	struct memory memory;
	ssize_t size;
	int result;

	if (file < 0)
		return -errno;
	size = read(file, text, sizeof text - 1);
	if (size < 0)
		return -errno;
	text[size] = '\0';
	result = parse_kilobytes(text, "MemTotal:", &memory.total);
	if (result == 0)
		result = parse_kilobytes(text, "MemAvailable:", &memory.available);
	if (result == 0)
		*ret_memory = memory;
	return result;
}
