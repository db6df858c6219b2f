/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams, where there is more to it than in calls.def: a buffer's bytes talk to nobody, so what a
 * program may call for each byte is no point while the buffer does; and what has a list of
 * arguments of unknown length is passed on as a va_list. */
/* libc's header has none of them inline then. */
#ifndef __NO_INLINE__
#define __NO_INLINE__ 1
#endif

#include <stdarg.h>
#include <stdio.h>

#include "preload/export.h"
#include "preload/points.h"
#include "preload/real.h"

/* Is there nothing in the buffer to be read? */
static bool is_drained(const FILE *stream)
{
	return stream->_IO_read_ptr >= stream->_IO_read_end;
}

/* Will so much more be written on, not kept? Where lines are, the kernel may get some at any time:
 * glibc says so by a buffer that ends where it begins. */
static bool is_full(const FILE *stream, size_t size)
{
	return stream->_IO_write_ptr >= stream->_IO_write_end ||
	       (size_t)(stream->_IO_write_end - stream->_IO_write_ptr) < size;
}

#define GETS(name, parameters, arguments, stream) \
	extern int name parameters; \
	EXPORT int name parameters \
	{ \
		if (!points_any() || !is_drained(stream)) \
			return REAL(name) arguments; \
		POINTS_TALK(int, name, arguments); \
	}

#define PUTS(name, parameters, arguments, stream) \
	extern int name parameters; \
	EXPORT int name parameters \
	{ \
		if (points_any() && is_full(stream, 1)) \
			points_release(); \
		return REAL(name) arguments; \
	}

GETS(fgetc, (FILE *stream), (stream), stream)
GETS(getc, (FILE *stream), (stream), stream)
GETS(getchar, (void), (), stdin)
GETS(__uflow, (FILE *stream), (stream), stream)
GETS(__underflow, (FILE *stream), (stream), stream)
PUTS(fputc, (int c, FILE *stream), (c, stream), stream)
PUTS(putc, (int c, FILE *stream), (c, stream), stream)
PUTS(putchar, (int c), (c), stdout)
PUTS(__overflow, (FILE *stream, int c), (stream, c), stream)

EXPORT size_t fwrite(const void *data, size_t size, size_t count, FILE *stream)
{
	if (points_any() && is_full(stream, size * count))
		points_release();
	return REAL(fwrite)(data, size, count, stream);
}

EXPORT int fputs(const char *text, FILE *stream)
{
	if (points_any() && is_full(stream, __builtin_strlen(text)))
		points_release();
	return REAL(fputs)(text, stream);
}

extern __typeof__(getc) _IO_getc;
extern __typeof__(putc) _IO_putc;
EXPORT_SAME(_IO_getc, getc);
EXPORT_SAME(_IO_putc, putc);

/* By the same name with a v before it, which is a point: one with our own. */
#define LISTED(name, with_list, parameters, last, arguments) \
	extern int name parameters; \
	EXPORT int name parameters \
	{ \
		va_list list; \
		int result; \
\
		points_tell(); \
		va_start(list, last); \
		result = REAL(with_list) arguments; \
		va_end(list); \
		return result; \
	}

#define LISTED_TALKS(name, with_list, parameters, last, arguments) \
	extern int name parameters; \
	EXPORT int name parameters \
	{ \
		va_list list; \
		int result; \
\
		points_tell(); \
		va_start(list, last); \
		result = REAL(with_list) arguments; \
		va_end(list); \
		points_hear(); \
		return result; \
	}

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
LISTED(printf, vprintf, (const char *format, ...), format, (format, list))
LISTED(fprintf, vfprintf, (FILE *stream, const char *format, ...), format, (stream, format, list))
LISTED(__printf_chk, __vprintf_chk, (int flag, const char *format, ...), format,
       (flag, format, list))
LISTED(__fprintf_chk, __vfprintf_chk, (FILE *stream, int flag, const char *format, ...), format,
       (stream, flag, format, list))
LISTED_TALKS(dprintf, vdprintf, (int fd, const char *format, ...), format, (fd, format, list))
LISTED_TALKS(__dprintf_chk, __vdprintf_chk, (int fd, int flag, const char *format, ...), format,
             (fd, flag, format, list))

/* What the headers call scanf is one of these, so they have other names here. */
#define SCANS(name, with_list) \
	EXPORT int points_##with_list(const char *format, va_list list) __asm__(#with_list); \
	EXPORT int points_##with_list(const char *format, va_list list) \
	{ \
		POINTS_TALK(int, with_list, (format, list)); \
	} \
	EXPORT int points_##name(const char *format, ...) __asm__(#name); \
	LISTED_TALKS(points_##name, with_list, (const char *format, ...), format, (format, list))

#define SCANS_STREAM(name, with_list) \
	EXPORT int points_##with_list(FILE *stream, const char *format, va_list list) \
		__asm__(#with_list); \
	EXPORT int points_##with_list(FILE *stream, const char *format, va_list list) \
	{ \
		POINTS_TALK(int, with_list, (stream, format, list)); \
	} \
	EXPORT int points_##name(FILE *stream, const char *format, ...) __asm__(#name); \
	LISTED_TALKS(points_##name, with_list, (FILE *stream, const char *format, ...), format, \
	             (stream, format, list))

SCANS(scanf, vscanf)
SCANS(__isoc99_scanf, __isoc99_vscanf)
SCANS(__isoc23_scanf, __isoc23_vscanf)
SCANS_STREAM(fscanf, vfscanf)
SCANS_STREAM(__isoc99_fscanf, __isoc99_vfscanf)
SCANS_STREAM(__isoc23_fscanf, __isoc23_vfscanf)
