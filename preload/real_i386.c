/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The linker's names of what has one for a 64-bit off_t, and one for a 64-bit time_t. Asked once
 * for each name. */
#include <stddef.h>
#include <string.h>

#include "preload/real.h"

struct pair {
	const char *name, *other;
};

static const struct pair wide[] = {
#define CALL(result, name, arguments)
#define SAME(name, as)
#define PASSED(result, name, arguments)
#define TALKS(result, name, parameters, arguments)
#define TELLS(result, name, parameters, arguments)
#define WIDE(name, as) {#as, #name},
#define TIMED(name, as)
#include "preload/calls.def"
	{NULL, NULL},
};

static const struct pair timed[] = {
#define CALL(result, name, arguments)
#define SAME(name, as)
#define PASSED(result, name, arguments)
#define TALKS(result, name, parameters, arguments)
#define TELLS(result, name, parameters, arguments)
#define WIDE(name, as)
#define TIMED(name, as) {#as, #name},
#include "preload/calls.def"
	{NULL, NULL},
};

static const char *find(const struct pair *pair, const char *name)
{
	while (pair->name && strcmp(pair->name, name) != 0)
		pair++;
	return pair->other;
}

const char *real_name(const char *name)
{
	const char *other = find(wide, name);

	return other ? other : name;
}

const char *real_name_timed(const char *name)
{
	const char *other = find(timed, name);

	return other ? other : real_name(name);
}
