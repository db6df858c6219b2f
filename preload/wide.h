/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls that have a name besides for a 64-bit off_t: calls.def's WIDE. Where a long has 64 bits,
 * these are two names of one function. Elsewhere all of the library is built with a 64-bit off_t
 * (_FILE_OFFSET_BITS), so that what is open here is open64 for the linker, as in any program that
 * is built so; the name without a number is for narrow.h. */
#ifndef SHMEMU_PRELOAD_WIDE_H
#define SHMEMU_PRELOAD_WIDE_H

/* Not where a 32-bit off_t is. */
#ifdef SHMEMU_NARROW
#define WIDE_SAME(type, wide) _Static_assert(sizeof(wide), "is there")
#else
#define WIDE_SAME(type, wide) _Static_assert(sizeof(type) == sizeof(wide), #wide " is " #type)
#endif

#if __SIZEOF_LONG__ == 8
/* For what no header of libc's gives its other name to. */
#define WIDE_SYMBOL(name, wide) __asm__(#name)
#define WIDE_ALIAS(wide, name) \
	extern __typeof__(wide) wide __attribute__((alias(#name), visibility("default")))
/* Of one that is called otherwise here, or has no declaration. */
#define WIDE_ALIAS_AS(ours, wide, name) \
	extern __typeof__(ours) ours##_wide __asm__(#wide) \
		__attribute__((alias(#name), visibility("default")))
#define WIDE_ALSO(also, name, wide) \
	extern __typeof__(name) also __attribute__((alias(#name), visibility("default")))
#else
#define WIDE_SYMBOL(name, wide) __asm__(#wide)
#define WIDE_ALIAS(wide, name) _Static_assert(sizeof &wide, #name " has that name here")
#define WIDE_ALIAS_AS(ours, wide, name) _Static_assert(sizeof &ours, #name " has that name here")
#define WIDE_ALSO(also, name, wide) \
	extern __typeof__(name) also __attribute__((alias(#wide), visibility("default")))
#endif

#endif
