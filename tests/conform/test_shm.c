/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shm_open and shm_unlink, and the same files by path. */
#include "tests/conform/conform.h"

CONFORM_ALL(names, "names")
CONFORM_ALL(flags, "flags")
CONFORM_ALL(known, "known")
CONFORM_ALL(segment, "segment")
CONFORM_ALL(paths, "paths")
