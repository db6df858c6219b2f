/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fopen, freopen: the file is opened as open(2) is, and libc makes the stream of it. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "preload/export.h"
#include "preload/paths.h"
#include "preload/real.h"
#include "preload/way.h"

enum { MODE_MAX = 7, MODE_ROOM = 64, FILE_MODE = 0666 };

/* What fopen's mode says, as glibc reads it: seven letters at most, and those up to a comma.
 * Returns open(2)'s flags, or -EINVAL. */
static int open_flags(const char *mode)
{
	int access = mode[0] == 'r' ? O_RDONLY : O_WRONLY;
	int flags = 0;

	switch (mode[0]) {
	case 'r': break;
	case 'w': flags = O_CREAT | O_TRUNC; break;
	case 'a': flags = O_CREAT | O_APPEND; break;
	default: return -EINVAL;
	}
	for (int i = 1; i < MODE_MAX && mode[i] && mode[i] != ','; i++) {
		switch (mode[i]) {
		case '+': access = O_RDWR; break;
		case 'x': flags |= O_EXCL; break;
		case 'e': flags |= O_CLOEXEC; break;
		default: break;
		}
	}
	return access | flags;
}

/* The mode without its x, which has been done. Longer ones are cut: what they have behind it, but a
 * character set's name, means nothing. */
static void copy_mode(const char *mode, char ret_copy[static MODE_ROOM])
{
	bool letters = true;
	size_t length = 0;

	for (size_t i = 0; mode[i] && length < MODE_ROOM - 1; i++) {
		letters &= mode[i] != ',';
		if (!letters || mode[i] != 'x')
			ret_copy[length++] = mode[i];
	}
	ret_copy[length] = '\0';
}

/* As glibc does with what it opens to append: programs ask where they are. */
static void seek_if_appending(int fd, int flags)
{
	if ((flags & O_APPEND) && (flags & O_ACCMODE) == O_WRONLY)
		sys_lseek(fd, 0, SEEK_END);
}

/* Puts our file in the place of the one that a stream of libc's was just opened on. */
static int put_in_place(FILE *stream, int fd, int flags)
{
	int number = fileno(stream);
	int result = sys_fcntl(number, F_GETFD, 0);

	if (result >= 0)
		result = (int)sys_call(SYS_dup3, fd, number, result & FD_CLOEXEC ? O_CLOEXEC : 0, 0,
		                       0, 0);
	if (result < 0)
		return result;
	seek_if_appending(number, flags);
	return 0;
}

/* Of a file that is always there, then exchanged: only so does libc look at all of `mode` (ccs=, c,
 * m), which fdopen does not; and only so does freopen keep the number. */
static FILE *make_stream(const char *mode, FILE *old)
{
	char copy[MODE_ROOM];

	copy_mode(mode, copy);
	return old ? REAL(freopen)("/dev/null", copy, old) :
	             REAL(fopen)("/dev/null", copy);
}

static bool is_plain(const char *mode)
{
	return !mode[strcspn(mode, ",cm")];
}

static int open_stream(const char *path, const char *mode, FILE **ret_stream)
{
	int flags = open_flags(mode);
	OWN_FD fd = flags < 0 ? flags : path_open(AT_FDCWD, path, flags, FILE_MODE);
	FILE *stream;
	int result;

	if (fd < 0)
		return fd;
	if (is_plain(mode)) {
		stream = fdopen(fd, mode);
		if (!stream)
			return -errno;
		seek_if_appending(fd_steal(&fd), flags);
		*ret_stream = stream;
		return 0;
	}
	stream = make_stream(mode, NULL);
	if (!stream)
		return -errno;
	result = put_in_place(stream, fd, flags);
	if (result < 0)
		REAL(fclose)(stream);
	else
		*ret_stream = stream;
	return result;
}

/* As freopen fails: the old file is closed all the same. */
static void close_old(FILE *stream)
{
	REAL(freopen)("/proc/self/fd/-", "r", stream);
}

/* What is in the old file's buffer is written before the new file is opened: it may be the same. */
static int reopen_stream(const char *path, const char *mode, FILE *stream)
{
	int flags = open_flags(mode);
	OWN_FD fd = -1;
	int result;

	REAL(fflush)(stream);
	fd = flags < 0 ? flags : path_open(AT_FDCWD, path, flags | O_CLOEXEC, FILE_MODE);
	if (fd < 0) {
		result = fd;
		close_old(stream);
		return result;
	}
	if (!make_stream(mode, stream))
		return -errno;
	result = put_in_place(stream, fd, flags);
	if (result < 0)
		close_old(stream);
	return result;
}

EXPORT FILE *fopen(const char *pathname, const char *mode)
{
	FILE *stream = NULL;
	int before = errno;
	int result;

	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(fopen)(pathname, mode);
	result = open_stream(pathname, mode, &stream);
	errno = before;
	export_named("fopen", pathname, result);
	return stream;
}

EXPORT FILE *freopen(const char *pathname, const char *mode, FILE *stream)
{
	int before = errno;
	int result;

	if (way_is_foreign(AT_FDCWD, pathname))
		return REAL(freopen)(pathname, mode, stream);
	result = reopen_stream(pathname, mode, stream);
	errno = before;
	return export_named("freopen", pathname, result) < 0 ? NULL : stream;
}

EXPORT_WIDE(fopen64, fopen);
EXPORT_WIDE(freopen64, freopen);
