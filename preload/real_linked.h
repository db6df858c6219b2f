/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How the library that is linked in gets at them: by the linker. `ld --wrap=open` makes open of
 * __real_open, and make-static does, for programs that are linked without. See real.h. */
#ifndef SHMEMU_PRELOAD_REAL_LINKED_H
#define SHMEMU_PRELOAD_REAL_LINKED_H

#define CALL(result, name, arguments)
#define SAME(name, as)
#define WIDE(name, as)
#define TIMED(name, as)
#define PASSED(result, name, arguments) \
	extern result real_of_##name arguments __asm__("__real_" #name);
#define TALKS(result, name, parameters, arguments) PASSED(result, name, parameters)
#define TELLS(result, name, parameters, arguments) PASSED(result, name, parameters)
#include "preload/calls.def"

#define REAL_IS_THERE(name) true
#define REAL_KNOWN(name) real_of_##name
#define REAL(name) real_of_##name

#endif
