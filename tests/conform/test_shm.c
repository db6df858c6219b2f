/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shm_open and shm_unlink, and the same files by path. */
#include "tests/conform/conform.h"

CONFORM(names, "names")
CONFORM(flags, "flags")
CONFORM(segment, "segment")
CONFORM(paths, "paths")
