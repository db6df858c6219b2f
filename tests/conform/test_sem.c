/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sem_open, sem_close and sem_unlink. */
#include "tests/conform/conform.h"

CONFORM_ALL(sem, "sem")
CONFORM_ALL(race, "race")
