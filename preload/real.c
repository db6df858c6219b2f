/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/real.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

struct real real_table;
atomic_bool real_is_ready;

/* Conditions changed their layout once, and have their names twice since. */
static void *find_condition(const char *name)
{
	static const char prefix[] = "pthread_cond_";

	if (strncmp(name, prefix, strlen(prefix)) != 0)
		return NULL;
	return dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
}

static void resolve(void *ret_function, const char *name)
{
	/* POSIX lets a function's address pass as an object's; ISO C only by its bytes. */
	void *found = find_condition(name);

	if (!found)
		found = dlsym(RTLD_NEXT, name);

	memcpy(ret_function, &found, sizeof found);
}

static void resolve_all(void)
{
#define CALL(result, name, arguments)
#define SAME(name, as)
#define PASSED(result, name, arguments) resolve(&real_table.name, #name);
#define TALKS(result, name, parameters, arguments) resolve(&real_table.name, #name);
#define TELLS(result, name, parameters, arguments) resolve(&real_table.name, #name);
#include "preload/calls.def"
#undef CALL
#undef SAME
#undef PASSED
#undef TALKS
#undef TELLS
	atomic_store(&real_is_ready, true);
}

const struct real *real_resolve(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, resolve_all);
	return &real_table;
}

/* Not in the middle of a signal handler, later: dlsym takes the loader's lock. */
__attribute__((constructor)) static void construct(void)
{
	real_resolve();
}
