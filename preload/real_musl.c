/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* musl's loader shows nobody its list as real.c reads it, and has its errors in memory that it
 * allocates: all that there is we ask for at the start. */
#include "preload/real.h"

#include <dlfcn.h>
#include <string.h>

/* musl's locks are not known to sync*.c, nor its streams to points_stdio.c. */
const bool real_is_before_all = false;
struct real real_table;

real_function *real_find(void *slot, const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);
	real_function *function;

	if (!found && strcmp(name, "renameat2") == 0)
		return (real_function *)musl_renameat2;
	/* POSIX lets a function's address pass as an object's; ISO C only by its bytes. */
	memcpy(&function, &found, sizeof function);
	__atomic_store_n((real_function **)slot, function, __ATOMIC_RELAXED);
	return function;
}

/* dladdr does. */
const char *real_library(void)
{
	return NULL;
}

__attribute__((constructor)) static void construct(void)
{
#define CALL(result, name, arguments)
#define SAME(name, as)
#define WIDE(name, as)
#define TIMED(name, as)
#define PASSED(result, name, arguments) real_find(&real_table.name, #name);
#define TALKS(result, name, parameters, arguments) real_find(&real_table.name, #name);
#define TELLS(result, name, parameters, arguments) real_find(&real_table.name, #name);
#include "preload/calls.def"
}
