/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owners and modes, and programs that become another user. */
#include "tests/conform/conform.h"

CONFORM_ROOT(perms, "perms")
CONFORM_ROOT(setuid, "setuid")
IN_NATIVE_WORLDS(conform, setuid_exec, "setuid", "exec")
IN_SERVED_WORLDS(conform, setuid_exec, "setuid", "exec")
