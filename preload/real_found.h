/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How the library that is preloaded gets at them: see real.h. */
#ifndef SHMEMU_PRELOAD_REAL_FOUND_H
#define SHMEMU_PRELOAD_REAL_FOUND_H

struct real {
#define CALL(result, name, arguments)
#define SAME(name, as)
#define WIDE(name, as)
#define TIMED(name, as)
#define PASSED(result, name, arguments) result(*name) arguments;
#define TALKS(result, name, parameters, arguments) result(*name) parameters;
#define TELLS(result, name, parameters, arguments) result(*name) parameters;
#include "preload/calls.def"
};

/* Each is found when it is first called for, which any signal handler may do. What libc does not
 * have stays NULL, and then no program that runs with it can have called ours. */
#pragma GCC visibility push(hidden)
extern struct real real_table;
#pragma GCC visibility pop

/* What the linker calls it: wide.h. */
#if __SIZEOF_LONG__ == 8 || defined(SHMEMU_NARROW)
static inline const char *real_name(const char *name)
{
	return name;
}
#else
const char *real_name(const char *name);
const char *real_name_timed(const char *name);
#endif

typedef void real_function(void);
__attribute__((cold)) real_function *real_find(void *slot, const char *name);

#define REAL_IS_THERE(name) \
	__builtin_expect(__atomic_load_n(&real_table.name, __ATOMIC_RELAXED) != NULL, 1)
#define REAL(name) \
	(REAL_IS_THERE(name) ? real_table.name \
	                     : (__typeof__(real_table.name))real_find(&real_table.name, \
	                                                              real_name(#name)))
/* After REAL_IS_THERE. */
#define REAL_KNOWN(name) (real_table.name)

#endif
