/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every call that is shown: those whose prototypes say all by one macro, the others by hand. */
#include <fcntl.h>
#include <stdarg.h>

#include "trace/channel.h"
#include "trace/next.h"
#include "trace/span.h"

/* Programs that call what is deprecated are there all the same. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#define TRACED(type, name, parameters, arguments, kind, letters)                                   \
	EXPORT type name parameters;                                                               \
	EXPORT type name parameters                                                                \
	{                                                                                          \
		struct span span;                                                                  \
		type result;                                                                       \
                                                                                                   \
		span_begin(&span);                                                                 \
		result = NEXT(name) arguments;                                                     \
		span_end(&span, TRACED_CALL_##name, (long)result, SPAN_ARGUMENTS arguments);       \
		return result;                                                                     \
	}
#define TRACED_BY_HAND(name, kind, letters)
#define TRACED_SAME(name, as)
#include "base/traced.def"

/* A list of one argument is passed as the argument is, and one that is not there is not looked at.
 */
EXPORT int open_file(const char *pathname, int flags, mode_t mode) __asm__("open");
EXPORT int open_file(const char *pathname, int flags, mode_t mode)
{
	struct span span;
	int result;

	span_begin(&span);
	result = NEXT(open)(pathname, flags, mode);
	span_end(&span, TRACED_CALL_open, result, SPAN_ARGUMENTS(pathname, flags, mode));
	return result;
}

EXPORT int open_file_at(int dirfd, const char *pathname, int flags, mode_t mode) __asm__("openat");
EXPORT int open_file_at(int dirfd, const char *pathname, int flags, mode_t mode)
{
	struct span span;
	int result;

	span_begin(&span);
	result = NEXT(openat)(dirfd, pathname, flags, mode);
	span_end(&span, TRACED_CALL_openat, result, SPAN_ARGUMENTS(dirfd, pathname, flags, mode));
	return result;
}

EXPORT sem_t *sem_open(const char *name, int oflag, ...)
{
	mode_t mode = 0;
	unsigned value = 0;
	struct span span;
	sem_t *result;

	if (oflag & O_CREAT) {
		va_list more;

		va_start(more, oflag);
		mode = va_arg(more, mode_t);
		value = va_arg(more, unsigned);
		va_end(more);
	}
	span_begin(&span);
	result = NEXT(sem_open)(name, oflag, mode, value);
	span_end(&span, TRACED_CALL_sem_open, (long)result,
	         SPAN_ARGUMENTS(name, oflag, mode, value));
	return result;
}

EXPORT mqd_t mq_open(const char *name, int flags, ...)
{
	struct mq_attr *attributes = NULL;
	mode_t mode = 0;
	struct span span;
	mqd_t result;

	if (flags & O_CREAT) {
		va_list more;

		va_start(more, flags);
		mode = va_arg(more, mode_t);
		attributes = va_arg(more, struct mq_attr *);
		va_end(more);
	}
	span_begin(&span);
	result = NEXT(mq_open)(name, flags, mode, attributes);
	span_end(&span, TRACED_CALL_mq_open, result,
	         SPAN_ARGUMENTS(name, flags, mode, attributes));
	return result;
}

/* What was not given is whatever the registers have: whoever comes next knows which commands to
 * look at it for. */
EXPORT int semctl(int id, int number, int command, ...)
{
	unsigned long argument;
	struct span span;
	va_list more;
	int result;

	va_start(more, command);
	argument = va_arg(more, unsigned long);
	va_end(more);
	span_begin(&span);
	result = NEXT(semctl)(id, number, command, argument);
	span_end(&span, TRACED_CALL_semctl, result, SPAN_ARGUMENTS(id, number, command, argument));
	return result;
}

EXPORT void *mremap(void *old_address, size_t old_size, size_t new_size, int flags, ...)
{
	void *new_address = NULL;
	struct span span;
	va_list more;
	void *result;

	if (flags & (MREMAP_FIXED | 4 /* MREMAP_DONTUNMAP */)) {
		va_start(more, flags);
		new_address = va_arg(more, void *);
		va_end(more);
	}
	span_begin(&span);
	result = NEXT(mremap)(old_address, old_size, new_size, flags, new_address);
	span_end(&span, TRACED_CALL_mremap, (long)result,
	         SPAN_ARGUMENTS(old_address, old_size, new_size, flags, new_address));
	return result;
}

#define PROGRAM(name, path, parameters, arguments)                                                 \
	EXPORT int name parameters                                                                 \
	{                                                                                          \
		span_program(TRACED_CALL_##name, path);                                            \
		return NEXT(name) arguments;                                                       \
	}

PROGRAM(execve, path, (const char *path, char *const argv[], char *const envp[]),
        (path, argv, envp))
PROGRAM(execv, path, (const char *path, char *const argv[]), (path, argv))
PROGRAM(execvp, file, (const char *file, char *const argv[]), (file, argv))
PROGRAM(execvpe, file, (const char *file, char *const argv[], char *const envp[]),
        (file, argv, envp))
PROGRAM(posix_spawn, path,
        (pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
         const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]),
        (pid, path, actions, attributes, argv, envp))
PROGRAM(posix_spawnp, file,
        (pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
         const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]),
        (pid, file, actions, attributes, argv, envp))

#define END(name)                                                                                  \
	EXPORT void name(int status)                                                               \
	{                                                                                          \
		channel_end();                                                                     \
		((void (*)(int))next_find(TRACED_CALL_##name))(status);                            \
		__builtin_unreachable();                                                           \
	}

END(_exit)
END(_Exit)

_Static_assert(sizeof(off_t) == sizeof(off64_t), "truncate64 is truncate");
/* By their names alone: libc's headers give those with 64 other types, which are the same by now,
 * and attributes that no alias of another name can have. */
#define TRACED(type, name, parameters, arguments, kind, letters)
#define TRACED_BY_HAND(name, kind, letters)
#define TRACED_SAME(name, as)                                                                      \
	__asm__(".globl " #name "\n.type " #name ", %function\n.set " #name ", " #as);
#include "base/traced.def"
