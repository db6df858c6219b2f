/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In libshmemu-all.a. */
#include "preload/real.h"

const bool real_is_before_all = true;
