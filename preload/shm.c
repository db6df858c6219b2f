/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shm_open, shm_unlink. What shm_open returns is the kernel's own file: nothing of it needs
 * emulation after. */
#include <fcntl.h>
#include <sys/mman.h>

#include "base/name.h"
#include "preload/emu.h"
#include "preload/export.h"
#include "preload/trace.h"

static int emu_shm_open(const char *name, int oflag, mode_t mode)
{
	struct name parsed;
	int result = emu_parse(NAME_SEGMENT, name, &parsed);

	if (result < 0)
		return result;
	/* glibc adds these two. */
	oflag |= O_NOFOLLOW | O_CLOEXEC;
	if (name_is_valid(parsed.bytes, parsed.length))
		result = emu_open(&parsed, oflag, mode);
	else
		result = emu_open_other(parsed.bytes, oflag, mode, -EINVAL);
	/* So glibc has it. */
	return result == -EISDIR ? -EINVAL : result;
}

EXPORT int shm_open(const char *name, int oflag, mode_t mode)
{
	int result = emu_shm_open(name, oflag, mode);

	trace_open("shm_open", name, oflag, mode, result);
	return export_result(result);
}

EXPORT int shm_unlink(const char *name)
{
	int result = emu_unlink_shared(NAME_SEGMENT, name);

	trace_name("shm_unlink", name, result);
	return export_result(result);
}
