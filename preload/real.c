/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/real.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

static struct real real;
static atomic_bool is_ready;

static void resolve(void *ret_function, const char *name)
{
	/* POSIX lets a function's address pass as an object's; ISO C only by its bytes. */
	void *found = dlsym(RTLD_NEXT, name);

	memcpy(ret_function, &found, sizeof found);
}

static void resolve_all(void)
{
#define CALL(result, name, arguments)
#define SAME(name, as)
#define PASSED(result, name, arguments) resolve(&real.name, #name);
#include "preload/calls.def"
#undef CALL
#undef SAME
#undef PASSED
	atomic_store(&is_ready, true);
}

const struct real *real_if_ready(void)
{
	return atomic_load_explicit(&is_ready, memory_order_acquire) ? &real : NULL;
}

const struct real *real_calls(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, resolve_all);
	return &real;
}

/* Not in the middle of a signal handler, later: dlsym takes the loader's lock. */
__attribute__((constructor)) static void construct(void)
{
	real_calls();
}
