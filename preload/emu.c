/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/emu.h"

#include <fcntl.h>

#include "base/sys.h"
#include "preload/ask.h"
#include "preload/boot.h"
#include "preload/known.h"
#include "preload/paths.h"
#include "preload/umask.h"
#include "preload/way.h"

int emu_parse(enum name_kind kind, const char *given, struct name *ret_name)
{
	int result = name_parse(kind, given, ret_name);
	struct text line = TEXT_NULL;

	if (result < 0) {
		text_string(&line, "not a possible name for shared memory or a semaphore: ");
		text_printable(&line, given);
		boot_log_error(line, -result);
	}
	return result;
}

int emu_open_other(const char *name, int flags, mode_t mode, int refusal)
{
	struct text path = TEXT_NULL;

	text_string(&path, "/dev/shm/");
	text_string(&path, name);
	if (way_is_foreign(AT_FDCWD, path.bytes))
		return refusal;
	return path_open(AT_FDCWD, path.bytes, flags, mode);
}

/* Has the daemon said that the name is not a regular file's? Then it opens by path only. */
static bool is_other(int result)
{
	return result == -EISDIR || result == -ENXIO;
}

static int ask_open(const struct name *name, int flags, mode_t mode,
                    const struct known_name *sought)
{
	struct wire_request request = wire_request_make(WIRE_OPEN);
	struct client_answer answer;
	int result;

	wire_request_name(&request, name->bytes, name->length);
	request.flags = (uint32_t)flags;
	if (flags & O_CREAT)
		request.mode = mode & ~umask_read();
	result = ask(&request, &answer);
	if (result < 0)
		return result;
	/* It comes close-on-exec, lest another thread's fork and exec take it along. */
	if (!(flags & O_CLOEXEC))
		sys_fcntl(answer.fd, F_SETFD, 0);
	known_learn_file(sought, &answer);
	return answer.fd;
}

int emu_open(const struct name *name, int flags, mode_t mode)
{
	struct known_name sought = known_name(name->bytes, name->length);
	struct stat ignored;
	int result = known_open(&sought, flags, &ignored);

	if (result < 0)
		result = ask_open(name, flags, mode, &sought);
	return is_other(result) ? emu_open_other(name->bytes, flags, mode, result) : result;
}

int emu_create(const struct name *name, int flags, mode_t mode)
{
	struct known_name sought = known_name(name->bytes, name->length);

	return ask_open(name, flags, mode, &sought);
}

int emu_unlink(const struct name *name)
{
	struct wire_request request = wire_request_make(WIRE_UNLINK);
	struct client_answer answer;

	wire_request_name(&request, name->bytes, name->length);
	return ask(&request, &answer);
}

int emu_unlink_shared(enum name_kind kind, const char *given)
{
	struct name name;
	int result = emu_parse(kind, given, &name);

	if (result < 0)
		return result == -EINVAL ? -ENOENT : result;
	/* "." and "..": the kernel's word for a folder. */
	if (!name_is_valid(name.bytes, name.length))
		return -EISDIR;
	result = emu_unlink(&name);
	return result == -EPERM ? -EACCES : result;
}
