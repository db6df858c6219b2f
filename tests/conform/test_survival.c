/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* No program can tell that the worker is killed while it runs. */
#include "tests/conform/conform.h"

SURVIVE(bytes, "bytes")
SURVIVE(changes, "changes")
SURVIVE(kinds, "kinds")
SURVIVE(known, "known")
SURVIVE(lists, "lists")
SURVIVE(looks, "looks")
SURVIVE(moves, "moves")
SURVIVE(names, "names")
SURVIVE(opens, "opens")
SURVIVE(runs, "runs")
PROBE_IN(mount_root, survive, WORLD_MOUNT, 0, users, "users")
PROBE_IN(plain_root, survive, WORLD_PLAIN, 0, users, "users")
SURVIVE(ways, "ways")
