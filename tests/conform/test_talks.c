/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes that talk about memory that they share, and what they close meanwhile. */
#include "tests/conform/conform.h"

CONFORM(talks, "talks")
CONFORM(ends, "talks_ends")
CONFORM(close, "talks_close")
