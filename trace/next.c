/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trace/next.h"

#include <dlfcn.h>
#include <string.h>

static next_function *found[TRACED_CALLS];

static next_function *look_up(enum traced_number number)
{
	void *symbol = dlsym(RTLD_NEXT, traced_calls[number].name);
	next_function *function;

	/* POSIX lets a function's address pass as an object's; ISO C only by its bytes. */
	memcpy(&function, &symbol, sizeof function);
	__atomic_store_n(&found[number], function, __ATOMIC_RELAXED);
	return function;
}

next_function *next_find(enum traced_number number)
{
	next_function *function = __atomic_load_n(&found[number], __ATOMIC_RELAXED);

	return function ? function : look_up(number);
}

__attribute__((constructor)) static void construct(void)
{
	for (int number = 0; number < TRACED_CALLS; number++)
		look_up((enum traced_number)number);
}
