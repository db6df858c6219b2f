/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first call, in whatever state the program is. */
#include "tests/conform/conform.h"

CONFORM(first_stdio, "first", "stdio")
CONFORM(first_children, "first", "children")
CONFORM(first_children_ignored, "first", "ignored")
CONFORM(first_environment, "first", "environment")
CONFORM(first_threads, "first", "threads")
CONFORM(first_processes, "first", "processes")
CONFORM(first_storm, "first", "storm")
CONFORM(first_signals_blocked, "first", "blocked")
CONFORM(first_umask, "first", "umask")
CONFORM(first_cancelled, "first", "cancelled")
CONFORM(first_exec, "first", "exec")
CONFORM(first_group, "first", "group")
CONFORM(first_full, "first", "full")
CONFORM(first_child, "first", "child")
