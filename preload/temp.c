/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mkstemp and its kin: names as glibc makes them. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/sys.h"
#include "preload/export.h"
#include "preload/paths.h"
#include "preload/real.h"
#include "preload/way.h"

enum { RANDOM_LETTERS = 6, ATTEMPTS = 62 * 62 * 62 };

static uint64_t random_bits(void)
{
	uint64_t bits;
	struct timespec now;

	if (sys_call(SYS_getrandom, (long)&bits, sizeof bits, 1 /* GRND_NONBLOCK */, 0, 0, 0) ==
	    sizeof bits)
		return bits;
	sys_call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0, 0, 0, 0);
	bits = (uint64_t)now.tv_sec << 32 ^ (uint64_t)now.tv_nsec;
	return (bits ^ (uintptr_t)&bits) * 2862933555777941757U + 3037000493U;
}

static void fill_in(char *letters)
{
	static const char alphabet[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	uint64_t bits = random_bits() >> 4;

	for (int i = 0; i < RANDOM_LETTERS; i++) {
		letters[i] = alphabet[bits % (sizeof alphabet - 1)];
		bits /= sizeof alphabet - 1;
	}
}

/* Where the six X stand that are to be replaced, or NULL. */
static char *find_letters(char *template, int suffix)
{
	size_t length = strlen(template);
	char *letters;

	if (suffix < 0 || length < RANDOM_LETTERS + (size_t)suffix)
		return NULL;
	letters = template + length - (size_t)suffix - RANDOM_LETTERS;
	return strspn(letters, "X") < RANDOM_LETTERS ? NULL : letters;
}

static int make_file(const char *path, int flags)
{
	return path_open(AT_FDCWD, path, (flags & ~O_ACCMODE) | O_RDWR | O_CREAT | O_EXCL, 0600);
}

static int make_folder(const char *path, int flags)
{
	return path_mkdir(AT_FDCWD, path, 0700);
}

static int make_unique(const char *call, char *template, int suffix, int flags,
                       int (*make)(const char *path, int flags))
{
	char *letters = find_letters(template, suffix);
	int result = letters ? -EEXIST : -EINVAL;

	for (int attempt = 0; attempt < ATTEMPTS && result == -EEXIST; attempt++) {
		fill_in(letters);
		result = make(template, flags);
	}
	return export_named(call, template, result);
}

EXPORT int mkstemp(char *template)
{
	if (way_is_foreign(AT_FDCWD, template))
		return REAL(mkstemp)(template);
	return make_unique("mkstemp", template, 0, 0, make_file);
}

EXPORT int mkostemp(char *template, int flags)
{
	if (way_is_foreign(AT_FDCWD, template))
		return REAL(mkostemp)(template, flags);
	return make_unique("mkostemp", template, 0, flags, make_file);
}

EXPORT int mkstemps(char *template, int suffixlen)
{
	if (way_is_foreign(AT_FDCWD, template))
		return REAL(mkstemps)(template, suffixlen);
	return make_unique("mkstemps", template, suffixlen, 0, make_file);
}

EXPORT int mkostemps(char *template, int suffixlen, int flags)
{
	if (way_is_foreign(AT_FDCWD, template))
		return REAL(mkostemps)(template, suffixlen, flags);
	return make_unique("mkostemps", template, suffixlen, flags, make_file);
}

EXPORT_WIDE(mkstemp64, mkstemp);
EXPORT_WIDE(mkostemp64, mkostemp);
EXPORT_WIDE(mkstemps64, mkstemps);
EXPORT_WIDE(mkostemps64, mkostemps);

EXPORT char *mkdtemp(char *template)
{
	if (way_is_foreign(AT_FDCWD, template))
		return REAL(mkdtemp)(template);
	return make_unique("mkdtemp", template, 0, 0, make_folder) < 0 ? NULL : template;
}
