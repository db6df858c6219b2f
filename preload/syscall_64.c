/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each call has one number. */
#include "preload/syscall_i.h"

void syscall_unify(struct syscall_asked *asked)
{
}
