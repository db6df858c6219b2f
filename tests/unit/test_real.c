/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is found behind us is what the loader would find. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <string.h>

#include "preload/real.h"

static void *loaders(const char *name)
{
	void *found = strncmp(name, "pthread_cond_", 13) == 0
	                      ? dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2")
	                      : NULL;

	return found ? found : dlsym(RTLD_NEXT, name);
}

static void check(void *slot, const char *name)
{
	void *wanted = loaders(name);
	real_function *found = real_find(slot, name);

	cr_expect(memcmp(&found, &wanted, sizeof found) == 0, "%s", name);
	cr_expect(memcmp(slot, &wanted, sizeof wanted) == 0, "%s", name);
}

Test(real, each_name_is_the_loaders)
{
#define CALL(result, name, arguments)
#define SAME(name, as)
#define WIDE(name, as)
#define TIMED(name, as)
#define PASSED(result, name, arguments) check(&real_table.name, #name);
#define TALKS(result, name, parameters, arguments) check(&real_table.name, #name);
#define TELLS(result, name, parameters, arguments) check(&real_table.name, #name);
#include "preload/calls.def"
	cr_assert_eq(REAL(close), close);
}

Test(real, what_is_nowhere_is_nothing)
{
	void *slot = NULL;

	cr_assert_eq(real_find(&slot, "shmemu_is_nowhere"), NULL);
	cr_assert_null(slot);
}

/* Which of several such a function is its own code says: memcpy for one. */
Test(real, what_has_variants_is_found)
{
	void *slot = NULL;

	real_find(&slot, "memcpy");
	cr_assert_eq(slot, dlsym(RTLD_NEXT, "memcpy"));
}
