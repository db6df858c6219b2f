/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sem_open, sem_close, sem_unlink. A semaphore is a file that holds glibc's own sem_t, so its
 * sem_wait and sem_post work on the mapping as they are, and where there is none sync_sem.c's on
 * the file. The first value travels with the
 * request: the file has it before it has its name. */
#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <stdarg.h>
#include <string.h>

#include "base/name.h"
#include "base/own.h"
#include "preload/ask.h"
#include "preload/boot.h"
#include "preload/emu.h"
#include "preload/export.h"
#include "preload/known.h"
#include "preload/real.h"
#include "preload/sem_libc.h"
#include "preload/table.h"
#include "preload/trace.h"
#include "preload/umask.h"

_Static_assert(sizeof(sem_t) <= WIRE_INITIAL_MAX, "a semaphore fits a request");

static void fill_in(struct wire_request *request, mode_t mode, unsigned value)
{
	sem_t image;

	memset(&image, 0, sizeof image);
	REAL(sem_init)(&image, 1, value);
	sem_libc_mark(&image);
	memcpy(request->initial, &image, sizeof image);
	request->initial_length = sizeof image;
	request->mode = mode & ~umask_read();
}

/* A value that can't be is refused when the semaphore would have to be made, and not looked at
 * otherwise; with O_EXCL it always would be (glibc). */
static int request_open(const struct name *name, int oflag, mode_t mode, unsigned value,
                        const struct known_name *sought, int *ret_fd)
{
	struct wire_request request = wire_request_make(WIRE_OPEN);
	bool impossible = (oflag & O_CREAT) && value > SEM_VALUE_MAX;
	struct client_answer answer;
	int result;

	if (impossible && (oflag & O_EXCL))
		return -EINVAL;
	wire_request_name(&request, name->bytes, name->length);
	request.flags = O_RDWR;
	if ((oflag & O_CREAT) && !impossible) {
		request.flags |= (uint32_t)oflag & (O_CREAT | O_EXCL);
		fill_in(&request, mode, value);
	}
	result = ask(&request, &answer);
	if (result == -ENOENT && impossible)
		return -EINVAL;
	if (result == -ENXIO) {
		result = emu_open_other(name->bytes, O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0, result);
		*ret_fd = result;
		return result < 0 ? result : 0;
	}
	if (result < 0)
		return result;
	known_learn_file(sought, &answer);
	*ret_fd = answer.fd;
	return 0;
}

/* To glibc a file that holds no semaphore is EINVAL. */
static int refuse_other(void)
{
	struct text line = TEXT_NULL;

	text_string(&line, "this semaphore is of a program that has another libc");
	boot_log_error(line, EINVAL);
	return -EINVAL;
}

static int open_semaphore(const char *name, int oflag, mode_t mode, unsigned value,
                          sem_t **ret_sem)
{
	int flags = O_RDWR | O_CLOEXEC | (oflag & (O_CREAT | O_EXCL));
	OWN_FD file = -1;
	struct known_name sought;
	struct name parsed;
	struct stat status;
	int result = emu_parse(NAME_SEMAPHORE, name, &parsed);

	if (result < 0)
		return result;
	sought = known_name(parsed.bytes, parsed.length);
	file = known_open(&sought, flags, &status);
	if (file >= 0)
		return table_open(file, &status, ret_sem);
	result = request_open(&parsed, oflag, mode, value, &sought, &file);
	if (result < 0)
		return result;
	result = table_open(file, NULL, ret_sem);
	/* glibc gives the file its name last. Without O_EXCL it may be another's. */
	if (result < 0 && (oflag & O_CREAT) && (oflag & O_EXCL))
		emu_unlink_shared(NAME_SEMAPHORE, name);
	return result;
}

static int emu_sem_open(const char *name, int oflag, mode_t mode, unsigned value, sem_t **ret_sem)
{
	int result = open_semaphore(name, oflag, mode, value, ret_sem);

	return result == -EMEDIUMTYPE ? refuse_other() : result;
}

EXPORT sem_t *sem_open(const char *name, int oflag, ...)
{
	sem_t *sem = SEM_FAILED;
	mode_t mode = 0;
	unsigned value = 0;
	int result;

	if (oflag & O_CREAT) {
		va_list more;

		va_start(more, oflag);
		mode = va_arg(more, mode_t);
		value = va_arg(more, unsigned);
		va_end(more);
	}
	result = emu_sem_open(name, oflag, mode, value, &sem);
	trace_open("sem_open", name, oflag, mode, result < 0 ? result : (long)sem);
	export_result(result);
	return sem;
}

EXPORT int sem_close(sem_t *sem)
{
	int result = table_close(sem);

	trace_address("sem_close", sem, result);
	return export_result(result);
}

EXPORT int sem_unlink(const char *name)
{
	int result = emu_unlink_shared(NAME_SEMAPHORE, name);

	trace_name("sem_unlink", name, result);
	return export_result(result);
}
