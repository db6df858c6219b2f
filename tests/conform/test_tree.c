/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files and folders by path: every call that takes one. */
#include "tests/conform/conform.h"

CONFORM_ALL(bytes, "bytes")
CONFORM_ALL(changes, "changes")
CONFORM_ALL(kinds, "kinds")
CONFORM_ALL(lists, "lists")
CONFORM_ALL(looks, "looks")
CONFORM_ALL(moves, "moves")
CONFORM_ALL(opens, "opens")
CONFORM_ALL(runs, "runs")
CONFORM_ROOT(users, "users")
CONFORM_ALL(watches, "watches")
CONFORM_ALL(ways, "ways")
